// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane runs the Kubernetes control plane of one virtual cluster, or
// of many, inside the calling process: the API server composed from kube-apiserver's own
// pieces, the controllers that make sense without nodes, and the CRDs that a virtual
// cluster serves. It is the second half of station 4 of docs/flow.md (vcluster).
//
// Kubernetes itself is not changed. The host comes in through exported extension
// points only: see Hooks.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/skerry-platform/skerry/charts"
)

const (
	readyTimeout  = 2 * time.Minute
	readyInterval = 15 * time.Millisecond
)

// TenantGroups are the API groups of the CRDs that every virtual cluster serves.
func TenantGroups() []string {
	return []string{"core.oam.dev", "helm.crossplane.io", "helm.m.crossplane.io"}
}

// Config of one virtual control plane.
type Config struct {
	// Name of the virtual cluster; unique in the process.
	Name string
	// Dir is a private folder for the files that the API server reads and reloads.
	Dir string
	// Secret is the control plane Secret's data, keys as in
	// platform.skerry.dev/v1alpha1 (KeyCACert and so on). The etcd keys may be missing when
	// etcd serves http.
	Secret map[string][]byte
	// EtcdEndpoints are URLs; EtcdPrefix is the tenant's own.
	EtcdEndpoints []string
	EtcdPrefix    string
	// ServiceCIDR is the host's, because Services have the host's addresses.
	ServiceCIDR string
	// KubernetesServiceIP is the ClusterIP of default/kubernetes. nil: the CIDR's first.
	KubernetesServiceIP net.IP
	// BindAddress and Port to serve on. Port 0 is any free port.
	BindAddress string
	Port        int
	// CRDs that are served beside the built-in APIs, YAML, one a document. nil: those
	// of every virtual cluster, see TenantGroups.
	CRDs [][]byte
	// Hooks connect to the host. nil: a plain cluster without nodes.
	Hooks Hooks
}

// ControlPlane is a running one.
type ControlPlane struct {
	cfg      Config
	files    files
	port     int
	loopback *rest.Config
	cancel   context.CancelFunc
	done     chan struct{}

	mu  sync.Mutex
	err error
}

// Start runs a control plane and returns when its /readyz says ok and its CRDs are
// served. It runs until Stop, or until ctx is done.
func Start(ctx context.Context, cfg Config) (*ControlPlane, error) {
	if cfg.CRDs == nil {
		crds, err := charts.CRDs(TenantGroups()...)
		if err != nil {
			return nil, fmt.Errorf("reading the CRDs of a virtual cluster: %w", err)
		}
		cfg.CRDs = crds
	}
	f := files{dir: cfg.Dir}
	if err := f.write(cfg.Secret); err != nil {
		return nil, fmt.Errorf("preparing control plane %s: %w", cfg.Name, err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.BindAddress, strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("listening for control plane %s: %w", cfg.Name, err)
	}
	name, err := cache.NewInformerName("virtual-cluster-" + cfg.Name)
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("control plane %s already runs in this process: %w", cfg.Name, err)
	}
	runCtx, cancel := context.WithCancel(ctx)
	cp := &ControlPlane{
		cfg: cfg, files: f, cancel: cancel, done: make(chan struct{}),
		port: listener.Addr().(*net.TCPAddr).Port,
	}
	if err := cp.serve(runCtx, listener, name); err != nil {
		cancel()
		listener.Close()
		name.Release()
		return nil, fmt.Errorf("starting control plane %s: %w", cfg.Name, err)
	}
	if err := cp.becomeReady(runCtx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting control plane %s: %w", cfg.Name, err), cp.Stop(ctx))
	}
	return cp, nil
}

// serve builds the API server and runs it in the background until ctx is done.
func (cp *ControlPlane) serve(ctx context.Context, listener net.Listener, name *cache.InformerName) error {
	opts, err := serverOptions(ctx, cp.cfg, listener, cp.files, name)
	if err != nil {
		return err
	}
	server, generic, err := newServer(opts)
	if err != nil {
		return err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return fmt.Errorf("preparing to serve: %w", err)
	}
	cp.loopback = generic.LoopbackClientConfig
	go func() {
		defer close(cp.done)
		defer name.Release()
		if err := prepared.Run(ctx); err != nil && ctx.Err() == nil {
			cp.fail(fmt.Errorf("serving control plane %s: %w", cp.cfg.Name, err))
		}
	}()
	return nil
}

// becomeReady waits for /readyz, then installs what every virtual cluster has.
func (cp *ControlPlane) becomeReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := cp.waitReady(ctx); err != nil {
		return err
	}
	return bootstrap(ctx, cp.RESTConfig(), cp.cfg.CRDs)
}

// waitReady asks /readyz until it says ok: the API server offers no event for it.
func (cp *ControlPlane) waitReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a client for /readyz: %w", err)
	}
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	var last string
	for {
		body, err := client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil && string(body) == "ok" {
			return nil
		}
		if len(body) > 0 {
			last = string(body)
		}
		select {
		case <-tick.C:
		case <-cp.done:
			return errors.Join(errors.New("the API server ended before it was ready"), cp.Err())
		case <-ctx.Done():
			return fmt.Errorf("waiting for /readyz: %w; it said last: %s", ctx.Err(), last)
		}
	}
}

func (cp *ControlPlane) fail(err error) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.err = errors.Join(cp.err, err)
}

// Port that the API server serves on.
func (cp *ControlPlane) Port() int { return cp.port }

// RESTConfig acts as system:apiserver, which may do everything. Each call returns a
// copy that the caller may change.
func (cp *ControlPlane) RESTConfig() *rest.Config {
	c := rest.CopyConfig(cp.loopback)
	c.QPS, c.Burst = -1, 0 // in-process: the API server's own limits suffice
	return c
}

// RESTConfigAs acts as the given user and groups, by impersonation.
func (cp *ControlPlane) RESTConfigAs(user string, groups ...string) *rest.Config {
	c := cp.RESTConfig()
	c.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	return c
}

// UpdateSecret writes rotated certificates; the API server follows by itself. The
// ServiceAccount key is read at start only.
func (cp *ControlPlane) UpdateSecret(data map[string][]byte) error { return cp.files.write(data) }

// Done is closed when the control plane has ended.
func (cp *ControlPlane) Done() <-chan struct{} { return cp.done }

// Err is why it ended by itself; nil while it runs and after Stop.
func (cp *ControlPlane) Err() error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.err
}

// Stop ends it: no new requests, running ones finish, then everything that it holds
// in the process is released. The error is ctx's when that takes too long.
func (cp *ControlPlane) Stop(ctx context.Context) error {
	cp.cancel()
	select {
	case <-cp.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping control plane %s: %w", cp.cfg.Name, ctx.Err())
	}
}
