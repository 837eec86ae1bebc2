// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// Target is where a request for a Pod's log, exec, attach, port-forward, proxy or metrics goes.
type Target struct {
	// BaseURL of the host's API server.
	BaseURL *url.URL
	// Transport authenticates as the tenant, over HTTP/1.1, which a connection must be
	// for exec and its kin to take it over (Upgrade).
	Transport http.RoundTripper
	// Namespace on the host; Pods have the same names there.
	Namespace string
}

// PodHost says where the Pods of a virtual namespace run. The host refuses what the tenant may
// not do there, and answers NotFound for Pods that it does not have. ServiceUnavailable means that
// the namespace has nothing on the host.
func (s *Syncer) PodHost(ctx context.Context, namespace string) (Target, error) {
	_, state, err := s.tenant.spaces.lookup(ctx, namespace)
	if err != nil {
		return Target{}, err
	}
	if state == spaceAbsent {
		return Target{}, apierrors.NewServiceUnavailable(fmt.Sprintf(
			"no Pod of namespace %q runs on the host yet: see the Pod's events", namespace))
	}
	target, err := s.podTarget()
	if err != nil {
		return Target{}, fmt.Errorf("finding the host of Pods in namespace %s: %w", namespace, err)
	}
	target.Namespace = s.tenant.hostNamespace(namespace)
	return target, nil
}

// newTarget makes the connection that every PodHost answer shares.
func newTarget(host *rest.Config) (Target, error) {
	cfg := rest.CopyConfig(host)
	cfg.NextProtos = []string{"http/1.1"}
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		return Target{}, fmt.Errorf("making the transport to the host: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return Target{}, fmt.Errorf("reading the host's address: %w", err)
	}
	return Target{BaseURL: base, Transport: transport}, nil
}
