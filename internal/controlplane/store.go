// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	etcdkubernetes "go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/zap"
	"k8s.io/apiserver/pkg/storage/etcd3"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane/template"
)

// Of the connection to etcd, as kube-apiserver has them.
const (
	etcdKeepAlive        = 30 * time.Second
	etcdKeepAliveTimeout = 10 * time.Second
)

// openStore makes the one client that everything of the tenant uses to reach etcd, as
// the tenant's own user. Its certificate is read from the files at each new connection.
func (cp *ControlPlane) openStore() error {
	config := clientv3.Config{
		Endpoints:            cp.cfg.EtcdEndpoints,
		DialKeepAliveTime:    etcdKeepAlive,
		DialKeepAliveTimeout: etcdKeepAliveTimeout,
		Logger:               zap.NewNop(), // errors are returned, and told by who gets them
	}
	if len(cp.cfg.Secret[platformv1alpha1.KeyEtcdCert]) > 0 {
		info := transport.TLSInfo{
			TrustedCAFile: cp.files.path(platformv1alpha1.KeyEtcdCA),
			CertFile:      cp.files.path(platformv1alpha1.KeyEtcdCert),
			KeyFile:       cp.files.path(platformv1alpha1.KeyEtcdKey),
		}
		var err error
		if config.TLS, err = info.ClientConfig(); err != nil {
			return fmt.Errorf("reading the etcd client certificate: %w", err)
		}
	}
	client, err := etcdkubernetes.New(config)
	if err != nil {
		return fmt.Errorf("configuring the etcd client for %v: %w", cp.cfg.EtcdEndpoints, err)
	}
	client.KV = etcd3.NewETCDLatencyTracker(client.KV)
	cp.store = client
	return nil
}

// fill writes the template if the tenant is new. Without a template the API server does
// all of its start-up work itself.
func (cp *ControlPlane) fill(ctx context.Context) (template.Origin, error) {
	if cp.cfg.Template.Get == nil {
		return template.Foreign, nil
	}
	return cp.cfg.Template.Fill(ctx, cp.store.KV, cp.cfg.EtcdPrefix)
}

// markComplete lets the next start know that this one did the API server's start-up work.
func (cp *ControlPlane) markComplete(ctx context.Context) error {
	if cp.cfg.Template.Get == nil {
		return nil
	}
	return cp.cfg.Template.Mark(ctx, cp.store.KV, cp.cfg.EtcdPrefix)
}
