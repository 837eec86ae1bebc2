// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package syncer keeps one virtual cluster and its namespaces on the host the same:
// stations 8 and 9 of docs/flow.md. Down: what people and controllers in the virtual
// cluster ask for (Pods and what they use, Services, claims, Releases) becomes host objects. Up: what the
// host makes of it (status, events), and what charts make there (Pods, Services,
// claims, binding Secrets), appears in the virtual cluster.
//
// Every synced kind has one file with the same three steps: down when only the virtual object
// exists, both when both do, up when only the host's does. What the steps write is
// computed by pure functions in translate_*.go.
//
// Names never change: a virtual namespace is one host namespace, and an object has
// its own name there. LabelOwner says on which side an object has its truth.
package syncer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// Config of one virtual cluster's syncer.
type Config struct {
	// VirtualCluster is the name; also of the home namespace.
	VirtualCluster string
	// Host reaches the host's API server as the tenant's ServiceAccount. It needs
	// get, list, watch, create and delete on VirtualNamespaces in the home namespace, and what the
	// ClusterRole skerry-tenant gives in the tenant's host namespaces.
	Host *rest.Config
	// ServiceIP is the address of default/kubernetes inside, DNSIP that of the virtual cluster's DNS.
	ServiceIP, DNSIP string
	// Shared are the host's cluster-wide objects that tenants see; nil for none.
	Shared SharedSource
}

// Syncer of one virtual cluster.
type Syncer struct {
	cfg       Config
	tenant    *tenant
	podTarget func() (Target, error)
}

// tenant is what every synced kind works with.
type tenant struct {
	translator
	virtual     client.Client // reads from the cache
	virtualLive client.Reader // reads from the API server
	host        client.Client // reads from the API server; space.cache is the host's cache
	spaces      *spaces
	inFlight    *inFlight
	events      events.EventRecorder
	shared      SharedSource
}

// New prepares a syncer. AllocateService and PodHost work at once, the rest with Run.
func New(cfg Config) (*Syncer, error) {
	switch {
	case cfg.VirtualCluster == "":
		return nil, errors.New("making a syncer: Config.VirtualCluster is empty")
	case cfg.Host == nil:
		return nil, errors.New("making a syncer: Config.Host is nil")
	}
	hostConfig := unlimited(cfg.Host)
	hostHTTP, err := rest.HTTPClientFor(hostConfig)
	if err != nil {
		return nil, fmt.Errorf("making the host's HTTP client: %w", err)
	}
	host, err := client.NewWithWatch(hostConfig, client.Options{HTTPClient: hostHTTP, Scheme: scheme, Mapper: restMapper()})
	if err != nil {
		return nil, fmt.Errorf("making the host's client: %w", err)
	}
	cfg.Host = hostConfig
	t := &tenant{
		translator: translator{cluster: cfg.VirtualCluster, serviceIP: cfg.ServiceIP, dnsIP: cfg.DNSIP},
		host:       client.WithFieldOwner(host, fieldOwner),
		inFlight:   newInFlight(),
		shared:     cfg.Shared,
	}
	t.spaces = newSpaces(t.translator, hostConfig, hostHTTP, host)
	podTarget := sync.OnceValues(func() (Target, error) { return newTarget(hostConfig) })
	return &Syncer{cfg: cfg, tenant: t, podTarget: podTarget}, nil
}

// unlimited takes client-go's limit of 5 requests a second off: the API servers
// share themselves out by priority and fairness.
func unlimited(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.RateLimiter = nil
	return cfg
}

// Run syncs until the context ends. The virtual configuration must act as the user
// skerry:syncer, which may change objects that the host owns. Run returns when every worker has stopped.
func (s *Syncer) Run(ctx context.Context, virtual *rest.Config) error {
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithName("syncer").WithValues("virtualCluster", s.cfg.VirtualCluster))
	mgr, err := newManager(ctx, unlimited(virtual))
	if err != nil {
		return fmt.Errorf("making the manager of virtual cluster %s: %w", s.cfg.VirtualCluster, err)
	}
	t := *s.tenant
	t.virtual = client.WithFieldOwner(mgr.GetClient(), fieldOwner)
	t.virtualLive = mgr.GetAPIReader()
	t.events = mgr.GetEventRecorder(fieldOwner)
	if err := t.spaces.start(ctx); err != nil {
		return fmt.Errorf("watching VirtualNamespaces in namespace %s: %w", s.cfg.VirtualCluster, err)
	}
	defer t.spaces.stop()
	if err := setup(ctx, mgr, &t); err != nil {
		return fmt.Errorf("setting up the syncer of virtual cluster %s: %w", s.cfg.VirtualCluster, err)
	}
	return mgr.Start(ctx)
}

// setup adds one controller per kind.
func setup(ctx context.Context, mgr manager.Manager, t *tenant) error {
	if err := indexReferences(ctx, mgr); err != nil {
		return err
	}
	has, err := t.discover(mgr)
	if err != nil {
		return err
	}
	t.spaces.releases = has.hostReleases
	setups := []func(context.Context, manager.Manager, *tenant, served) error{
		setupNamespaces, setupPods, setupServices, setupEndpointSlices, setupIngresses,
		setupConfigMaps, setupSecrets, setupClaims, setupVolumes, setupBudgets, setupReleases, setupEvents, setupShared,
	}
	for _, add := range setups {
		if err := add(ctx, mgr, t, has); err != nil {
			return err
		}
	}
	return nil
}

// discover asks both API servers for the optional kinds.
func (t *tenant) discover(mgr manager.Manager) (served, error) {
	virtual, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return served{}, fmt.Errorf("making the virtual discovery client: %w", err)
	}
	host, err := discovery.NewDiscoveryClientForConfigAndClient(t.spaces.config, t.spaces.http)
	if err != nil {
		return served{}, fmt.Errorf("making the host's discovery client: %w", err)
	}
	return servedKinds(virtual, host)
}

func newManager(ctx context.Context, virtual *rest.Config) (manager.Manager, error) {
	return ctrl.NewManager(virtual, manager.Options{
		Scheme:         scheme,
		MapperProvider: staticMapper,
		Logger:         log.FromContext(ctx),
		Metrics:        metricsserver.Options{BindAddress: "0"},
		Cache:          cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Client:         client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Controller:     config.Controller{SkipNameValidation: ptr.To(true), Logger: log.FromContext(ctx)},

		GracefulShutdownTimeout: ptr.To(5 * time.Second),
	})
}
