// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"crypto/tls"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane/etcd"
	"github.com/skerry-platform/skerry/internal/controlplane/template"
)

// etcdClient acts in etcd as the tenant itself. The caller closes it.
func (cp *ControlPlane) etcdClient() (*clientv3.Client, error) {
	secret := cp.cfg.Secret
	var conf *tls.Config
	if cert := secret[platformv1alpha1.KeyEtcdCert]; len(cert) > 0 {
		var err error
		if conf, err = etcd.ClientTLS(secret[platformv1alpha1.KeyEtcdCA], cert, secret[platformv1alpha1.KeyEtcdKey]); err != nil {
			return nil, err
		}
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: cp.cfg.EtcdEndpoints, TLS: conf, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("configuring the etcd client for %v: %w", cp.cfg.EtcdEndpoints, err)
	}
	return client, nil
}

// fill writes the template if the tenant is new. Without a template the API server does
// all of its start-up work itself.
func (cp *ControlPlane) fill(ctx context.Context) (template.Origin, error) {
	if cp.cfg.Template == nil {
		return template.Foreign, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	client, err := cp.etcdClient()
	if err != nil {
		return template.Foreign, err
	}
	defer client.Close()
	return cp.cfg.Template.Fill(ctx, client, cp.cfg.EtcdPrefix)
}

// markComplete lets the next start know that this one did the API server's start-up work.
func (cp *ControlPlane) markComplete(ctx context.Context) error {
	if cp.cfg.Template == nil {
		return nil
	}
	client, err := cp.etcdClient()
	if err != nil {
		return err
	}
	defer client.Close()
	return cp.cfg.Template.Mark(ctx, client, cp.cfg.EtcdPrefix)
}
