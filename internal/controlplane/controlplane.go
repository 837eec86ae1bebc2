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

	etcdkubernetes "go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/skerry-platform/skerry/charts"
	"github.com/skerry-platform/skerry/internal/controlplane/template"
)

// TenantGroups are the API groups of the CRDs that every virtual cluster serves.
func TenantGroups() []string {
	return []string{"core.oam.dev", "helm.crossplane.io", "helm.m.crossplane.io"}
}

// Controllers says which controllers run.
type Controllers int

const (
	// AllControllers is what a virtual cluster has.
	AllControllers Controllers = iota
	// ClusterControllers leaves out those that make Pods out of workloads, for
	// tests that write the status of workloads themselves.
	ClusterControllers
)

// quiet is how much less than its errors Kubernetes tells in the log: what it says while it
// starts is the same for every tenant.
const quiet = 2

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
	// Template that a new tenant's store is filled from, which saves most of its first
	// start; for tenants with the CRDs of every virtual cluster only. Without Get: none.
	Template template.Source
	// Controllers that run. The zero value is all.
	Controllers Controllers
	// Hooks connect to the host. nil: a plain cluster without nodes.
	Hooks Hooks
	// Quota of the virtual cluster on the host; used with Hooks. nil: no limit.
	Quota Quota
}

// ControlPlane is a running one.
type ControlPlane struct {
	cfg    Config
	files  files
	store  *etcdkubernetes.Client
	origin template.Origin
	port   int
	server *apiServer
	// stopServer and stopControllers begin to end each half.
	stopServer, stopControllers context.CancelFunc
	controllersCtx              context.Context
	controllers                 *controllers
	runControllers              func() // once
	running                     sync.WaitGroup
	done                        chan struct{}

	mu  sync.Mutex
	err error
}

// Start runs a control plane and returns when its /readyz says ok, its CRDs are
// served and its controllers run. ctx bounds the start only: it then runs until Stop.
func Start(ctx context.Context, cfg Config) (*ControlPlane, error) {
	cp, err := start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("starting control plane %s: %w", cfg.Name, err)
	}
	if err := cp.becomeReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting control plane %s: %w", cfg.Name, err), cp.Stop(context.WithoutCancel(ctx)))
	}
	return cp, nil
}

// start leaves the API server serving, not ready yet.
func start(ctx context.Context, cfg Config) (*ControlPlane, error) {
	if cfg.CRDs != nil && cfg.Template.Get != nil {
		return nil, errors.New("a template has CRDs of its own: leave CRDs or Template out")
	}
	if cfg.CRDs == nil {
		crds, err := charts.CRDs(TenantGroups()...)
		if err != nil {
			return nil, fmt.Errorf("reading the CRDs of a virtual cluster: %w", err)
		}
		cfg.CRDs = crds
	}
	cp := &ControlPlane{cfg: cfg, files: files{dir: cfg.Dir}, done: make(chan struct{})}
	if err := cp.files.write(cfg.Secret); err != nil {
		return nil, err
	}
	name, err := cache.NewInformerName("virtual-cluster-" + cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("it already runs in this process: %w", err)
	}
	cp.runControllers = sync.OnceFunc(func() { cp.controllers.run(cp.controllersCtx, &cp.running) })
	logger := klog.FromContext(ctx).WithName("kubernetes").V(quiet)
	serverCtx, stopServer := context.WithCancel(klog.NewContext(context.WithoutCancel(ctx), logger))
	cp.stopServer = stopServer
	if err := cp.prepare(ctx, serverCtx, name); err != nil {
		stopServer()
		cp.release(name)
		return nil, err
	}
	go cp.serve(serverCtx, name)
	return cp, nil
}

// prepare does everything before the API server serves: it fills the store of a new tenant and
// constructs what will live as long as serverCtx.
func (cp *ControlPlane) prepare(ctx, serverCtx context.Context, name *cache.InformerName) error {
	if err := cp.openStore(); err != nil {
		return err
	}
	var err error
	if cp.origin, err = cp.fill(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(cp.cfg.BindAddress, strconv.Itoa(cp.cfg.Port)))
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	cp.port = listener.Addr().(*net.TCPAddr).Port
	if err := cp.construct(serverCtx, listener, name); err != nil {
		listener.Close()
		return err
	}
	return nil
}

// construct makes the API server and the controllers, neither running.
func (cp *ControlPlane) construct(ctx context.Context, listener net.Listener, name *cache.InformerName) error {
	opts, err := serverOptions(ctx, cp.cfg, listener, cp.files, name)
	if err != nil {
		return err
	}
	if cp.server, err = newServer(opts, cp.cfg.Hooks, cp.origin, cp.store); err != nil {
		return err
	}
	if cp.controllers, err = newControllers(cp.RESTConfig(), cp.server.informers, cp.files); err != nil {
		return err
	}
	cp.controllersCtx, cp.stopControllers = context.WithCancel(ctx)
	return cp.controllers.construct(cp.controllersCtx, cp.cfg.Controllers)
}

// serve runs the API server until ctx is done, and then lets go of what it held.
func (cp *ControlPlane) serve(ctx context.Context, name *cache.InformerName) {
	defer close(cp.done)
	err := cp.server.run(ctx)
	if err != nil && ctx.Err() == nil {
		cp.fail(fmt.Errorf("serving control plane %s: %w", cp.cfg.Name, err))
	}
	cp.stopServer() // it may have ended by itself
	cp.server.informers.Shutdown()
	cp.release(name)
}

// release lets go of what outlives the API server.
func (cp *ControlPlane) release(name *cache.InformerName) {
	if cp.store != nil {
		cp.store.Close()
	}
	name.Release()
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
	c := rest.CopyConfig(cp.server.loopback)
	c.QPS, c.Burst = -1, 0 // in-process: the API server's own limits suffice
	return c
}

// RESTConfigAs acts as the given user and groups, by impersonation. It speaks JSON, as
// clients of custom resources must.
func (cp *ControlPlane) RESTConfigAs(user string, groups ...string) *rest.Config {
	c := cp.RESTConfig()
	c.ContentConfig = rest.ContentConfig{}
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

// Stop ends it: the controllers first, then no new requests, running ones finish, and
// everything that it holds in the process is released. The error is ctx's when that takes
// too long.
func (cp *ControlPlane) Stop(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cp.stopControllers()
		cp.runControllers() // those that never ran have something to let go of, too
		cp.running.Wait()
		cp.stopServer()
		<-cp.done
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		cp.stopServer()
		return fmt.Errorf("stopping control plane %s: %w", cp.cfg.Name, ctx.Err())
	}
}
