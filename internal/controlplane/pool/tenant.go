// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"

	"k8s.io/client-go/rest"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// Spec is what a tenant is started from.
type Spec struct {
	// Name of the virtual cluster.
	Name string
	// Dir is a private folder; it is removed after the tenant has stopped.
	Dir string
	// Secret is the control plane Secret's data, keys as in platform.skerry.dev/v1alpha1.
	Secret map[string][]byte
	// EtcdPrefix, ServiceIP and DNSIP are those of the VirtualCluster's status.
	EtcdPrefix, ServiceIP, DNSIP string
	// Host acts on the host cluster as the tenant's ServiceAccount, with a token
	// that renews itself.
	Host *rest.Config
	// Quota reads spec.quota and status.quota of the VirtualCluster, as they are now.
	Quota func() (*platformv1alpha1.Quota, *platformv1alpha1.QuotaStatus)
}

// Ports that a tenant serves on, on the address of the pool member.
type Ports struct {
	API, DNSUDP, DNSTCP int
}

// Factory starts tenants.
type Factory interface {
	// Start returns when the tenant serves. ctx bounds the start only.
	Start(ctx context.Context, spec Spec) (Tenant, error)
}

// Tenant is a running virtual control plane with everything beside it.
type Tenant interface {
	Ports() Ports
	// UpdateSecret takes rotated certificates.
	UpdateSecret(data map[string][]byte) error
	// Done is closed when a part of it ended by itself; Err is why.
	Done() <-chan struct{}
	Err() error
	// Stop ends it and releases all it holds.
	Stop(ctx context.Context) error
}
