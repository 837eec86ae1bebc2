// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/etcd"
	"github.com/skerry-platform/skerry/internal/vcluster/pki"
)

// Files in Options.EtcdTLSDir, all PEM; the chart mounts them from Secret skerry-etcd-tls.
const (
	EtcdCAFile      = "ca.crt"
	EtcdCAKeyFile   = "ca.key"
	EtcdRootCrtFile = "root.crt" // common name root
	EtcdRootKeyFile = "root.key"
)

// Tenants is what this stage asks of etcd; *etcd.Admin provides it.
type Tenants interface {
	EnsureTenant(context.Context, etcd.Tenant) error
	HasTenant(context.Context, etcd.Tenant) (bool, error)
	DeleteTenant(context.Context, etcd.Tenant) error
}

// Options of SetupWithManager.
type Options struct {
	// Namespace where the platform runs. Default v1alpha1.SystemNamespace.
	Namespace string
	// PoolServiceAccount is the pool's identity in Namespace. Default skerry-pool.
	PoolServiceAccount string
	// TenantRole, TenantHomeRole and PoolHomeRole are the install chart's ClusterRoles that
	// are bound inside host namespaces (the first) and home namespaces. Defaults
	// skerry-tenant, skerry-tenant-home, skerry-pool-home.
	TenantRole, TenantHomeRole, PoolHomeRole string
	// PodSecurity is the Pod Security Standard of host namespaces. Default baseline.
	PodSecurity string
	// Etcd makes and removes tenants.
	Etcd Tenants
	// EtcdTLSDir holds the authority that signs tenants' etcd certificates: see
	// EtcdCAFile. It is read each time a virtual cluster is looked at; one that changes
	// reaches all of them with a restart.
	EtcdTLSDir string
	// DrainTimeout bounds the wait for OAM Applications when a virtual cluster is
	// deleted. Default 2 minutes from the deletion.
	DrainTimeout time.Duration
	// Concurrency is how many objects of a kind are reconciled at a time. Default 8.
	Concurrency int
}

func (o *Options) complete() {
	o.Namespace = cmp.Or(o.Namespace, v1alpha1.SystemNamespace)
	o.PoolServiceAccount = cmp.Or(o.PoolServiceAccount, "skerry-pool")
	o.TenantRole = cmp.Or(o.TenantRole, "skerry-tenant")
	o.TenantHomeRole = cmp.Or(o.TenantHomeRole, "skerry-tenant-home")
	o.PoolHomeRole = cmp.Or(o.PoolHomeRole, "skerry-pool-home")
	o.PodSecurity = cmp.Or(o.PodSecurity, "baseline")
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 2*time.Minute)
	o.Concurrency = cmp.Or(o.Concurrency, 8)
}

// EtcdConfig is the administrator's access to etcd with the files of dir.
func EtcdConfig(endpoints []string, dir string) etcd.Config {
	return etcd.Config{
		Endpoints: endpoints,
		CAFile:    filepath.Join(dir, EtcdCAFile),
		CertFile:  filepath.Join(dir, EtcdRootCrtFile),
		KeyFile:   filepath.Join(dir, EtcdRootKeyFile),
	}
}

// etcdAuthority reads the authority of tenants' etcd certificates.
func (o *Options) etcdAuthority() (*pki.Authority, error) {
	crt, err := os.ReadFile(filepath.Join(o.EtcdTLSDir, EtcdCAFile))
	if err != nil {
		return nil, fmt.Errorf("reading etcd's authority: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(o.EtcdTLSDir, EtcdCAKeyFile))
	if err != nil {
		return nil, fmt.Errorf("reading the key of etcd's authority: %w", err)
	}
	a, err := pki.ParseAuthority(pki.Pair{Cert: crt, Key: key})
	if err != nil {
		return nil, fmt.Errorf("reading etcd's authority in %s: %w", o.EtcdTLSDir, err)
	}
	return a, nil
}
