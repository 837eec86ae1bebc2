// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/component-base/version"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/charts"
	"github.com/skerry-platform/skerry/internal/controlplane/etcd"
	"github.com/skerry-platform/skerry/internal/controlplane/pki"
	"github.com/skerry-platform/skerry/internal/controlplane/template"
	skerryversion "github.com/skerry-platform/skerry/internal/version"
)

const (
	// captureName cannot be that of a virtual cluster.
	captureName   = ".template"
	capturePrefix = "/template"
	// captureCIDR is for the Services of the captured control plane, which are not kept.
	captureCIDR = "10.255.255.0/28"
	// captureQuiet without a write means that controllers have added what they add.
	captureQuiet = time.Second
)

// CaptureTemplate starts a control plane that nobody uses, on an etcd of its own in dir,
// and keeps what it has stored when it comes to rest. It takes about 3 s. Whatever an
// API server of this Kubernetes version does at its first start is so taken over as it is, not
// computed again by us.
func CaptureTemplate(ctx context.Context, dir string) (_ *template.Template, err error) {
	defer func() {
		err = errors.Join(err, os.RemoveAll(dir))
		if err != nil {
			err = fmt.Errorf("capturing the template of new virtual clusters: %w", err)
		}
	}()
	crds, err := charts.CRDs(TenantGroups()...)
	if err != nil {
		return nil, err
	}
	secret, server, err := captureStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	cp, err := Start(ctx, Config{
		Name: captureName, Dir: filepath.Join(dir, "control-plane"), Secret: secret, CRDs: crds,
		EtcdEndpoints: []string{server.Endpoint()}, EtcdPrefix: capturePrefix,
		ServiceCIDR: captureCIDR, BindAddress: "127.0.0.1", Controllers: ClusterControllers,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cp.Stop(context.WithoutCancel(ctx))) }()
	stored, err := storedAtRest(ctx, cp.store.Client)
	if err != nil {
		return nil, err
	}
	return template.New(templateVersion(crds), stored)
}

// TemplateVersion is the version of the template that CaptureTemplate makes.
func TemplateVersion() (string, error) {
	crds, err := charts.CRDs(TenantGroups()...)
	if err != nil {
		return "", fmt.Errorf("reading the CRDs of a virtual cluster: %w", err)
	}
	return templateVersion(crds), nil
}

// templateVersion stands for what a template comes from: Kubernetes, our own roles, the CRDs.
func templateVersion(crds [][]byte) string {
	sum := sha256.New()
	fmt.Fprintln(sum, version.Get().GitVersion, skerryversion.Version)
	for _, crd := range crds {
		sum.Write(crd)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// captureStore starts an etcd that only the holder of the returned Secret can use.
func captureStore(ctx context.Context, dir string) (map[string][]byte, *etcd.Server, error) {
	secret, err := pki.ControlPlane(nil, nil)
	if err != nil {
		return nil, nil, err
	}
	ca, err := pki.NewCA("skerry-template-etcd")
	if err != nil {
		return nil, nil, err
	}
	serving, err := ca.Serving("etcd", nil, []net.IP{net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	client, err := ca.Client("template")
	if err != nil {
		return nil, nil, err
	}
	secret[platformv1alpha1.KeyEtcdCA], secret[platformv1alpha1.KeyEtcdCert], secret[platformv1alpha1.KeyEtcdKey] = ca.Cert, client.Cert, client.Key
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("creating its folder: %w", err)
	}
	tls := etcd.TLS{CertFile: filepath.Join(dir, "etcd.crt"), KeyFile: filepath.Join(dir, "etcd.key"), ClientCAFile: filepath.Join(dir, "etcd-ca.crt")}
	for path, content := range map[string][]byte{tls.CertFile: serving.Cert, tls.KeyFile: serving.Key, tls.ClientCAFile: ca.Cert} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, nil, fmt.Errorf("writing the certificates of its etcd: %w", err)
		}
	}
	server, err := etcd.Start(ctx, etcd.Config{
		Name: "template", DataDir: filepath.Join(dir, "etcd"), ListenClient: "https://127.0.0.1:0", TLS: &tls, UnsafeNoFsync: true,
	})
	return secret, server, err
}

// storedAtRest reads what belongs into a template once nothing of it has been written for
// captureQuiet.
func storedAtRest(ctx context.Context, client *clientv3.Client) (map[string][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	prefix := capturePrefix + "/"
	changes := client.Watch(ctx, prefix, clientv3.WithPrefix())
	quiet := time.NewTimer(captureQuiet)
	defer quiet.Stop()
	for resting := false; !resting; {
		select {
		case change := <-changes:
			if err := change.Err(); err != nil {
				return nil, fmt.Errorf("watching what it stores: %w", err)
			}
			for _, e := range change.Events {
				if template.Includes(strings.TrimPrefix(string(e.Kv.Key), prefix)) {
					quiet.Reset(captureQuiet)
				}
			}
		case <-quiet.C:
			resting = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	got, err := client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("reading what it stored: %w", err)
	}
	stored := map[string][]byte{}
	for _, kv := range got.Kvs {
		if key := strings.TrimPrefix(string(kv.Key), prefix); template.Includes(key) {
			stored[key] = kv.Value
		}
	}
	return stored, nil
}
