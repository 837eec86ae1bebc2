// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"net/http"
	"net/url"

	corev1 "k8s.io/api/core/v1"
)

// Hooks connect a virtual control plane to the host. They are called for requests
// that the virtual API server has already authenticated and authorized.
type Hooks interface {
	// AllocateService is called when a Service is created in the virtual cluster,
	// before it is stored (never for a dry run). It makes the host's Service and
	// returns it; its cluster IPs, IP families and node ports are copied into the virtual
	// one. nil, nil leaves the allocation to the virtual API server. An error refuses the
	// request; an API status error is passed on to the user as it is.
	AllocateService(ctx context.Context, virtual *corev1.Service) (host *corev1.Service, err error)

	// PodHost says where the pods of a virtual namespace are served, for
	// pods/{log,exec,attach,portforward,proxy}.
	PodHost(ctx context.Context, namespace string) (Target, error)
}

// Target is an API server that serves a namespace's pods under the same names.
type Target struct {
	// BaseURL of the API server, such as https://10.96.0.1:443.
	BaseURL *url.URL
	// Transport adds the caller's identity. It must speak HTTP/1.1 for the
	// subresources that upgrade the connection.
	Transport http.RoundTripper
	// Namespace on that API server.
	Namespace string
}
