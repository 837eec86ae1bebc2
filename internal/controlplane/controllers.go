// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	cacheddiscovery "k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	// workers of each controller. kube-controller-manager's 5 are for clusters of
	// thousands of nodes; idle workers cost memory in every tenant.
	workers = 2

	// discoveryPeriod is how often new kinds (CRDs) are looked for by the garbage
	// collector, the quota controller and the mapper, as in kube-controller-manager.
	discoveryPeriod = 30 * time.Second

	resyncPeriod = 12 * time.Hour
)

// loop is a controller that runs until ctx is done.
type loop func(ctx context.Context)

// controllers are those of kube-controller-manager that make sense in a virtual
// cluster. They are constructed one by one, because the manager's own Run can only be
// called once in a process. What they leave out is the host's work: nodes, volumes, pod
// garbage collection, load balancers.
//
// They share the API server's own informers, so that each kind is held in memory once,
// and act as the API server itself.
type controllers struct {
	files            files
	config           *rest.Config
	client           kubernetes.Interface
	metadata         metadata.Interface
	discovery        discovery.DiscoveryInterface
	mapper           *restmapper.DeferredDiscoveryRESTMapper
	informers        informers.SharedInformerFactory
	metadataInformer metadatainformer.SharedInformerFactory
	// started is closed when every informer that was asked for at first is started.
	started chan struct{}
	loops   []loop
}

func newControllers(config *rest.Config, factory informers.SharedInformerFactory, f files) (*controllers, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "kube-controller-manager" // field manager of what they write
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the controllers' client: %w", err)
	}
	md, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the controllers' metadata client: %w", err)
	}
	return &controllers{
		files: f, config: config, client: client, metadata: md, discovery: client.Discovery(),
		mapper:           restmapper.NewDeferredDiscoveryRESTMapper(cacheddiscovery.NewMemCacheClient(client.Discovery())),
		informers:        factory,
		metadataInformer: metadatainformer.NewSharedInformerFactory(md, resyncPeriod),
		started:          make(chan struct{}),
	}, nil
}

// construct makes all controllers, which add their handlers to informers. It must come
// before the informers are started: some constructors finish after their handlers are added.
func (c *controllers) construct(ctx context.Context, which Controllers) error {
	constructors := c.clusterControllers()
	if which == AllControllers {
		constructors = append(constructors, c.workloadControllers()...)
	}
	for _, construct := range constructors {
		l, err := construct(ctx)
		if err != nil {
			return err
		}
		c.loops = append(c.loops, l)
	}
	return nil
}

// run starts the controllers and returns; the API server answers by now. They end
// with ctx, and wg is done when they have. A controller that was constructed is also to be
// run, even with a context that is done already, for it to let go of what it holds.
func (c *controllers) run(ctx context.Context, wg *sync.WaitGroup) {
	c.Start(ctx.Done())
	close(c.started)
	for _, l := range c.loops {
		wg.Go(func() { l(ctx) })
	}
	wg.Go(func() {
		<-ctx.Done()
		c.metadataInformer.Shutdown()
	})
}

// ForResource gives the informer that the API server or a controller holds anyway, or
// else one of metadata only: the garbage collector and the quota controller look at every
// kind, but only at its metadata. Together with Start it is
// k8s.io/controller-manager/pkg/informerfactory.InformerFactory.
func (c *controllers) ForResource(resource schema.GroupVersionResource) (informers.GenericInformer, error) {
	if slices.Contains(heldInFull, resource) {
		return c.informers.ForResource(resource)
	}
	return c.metadataInformer.ForResource(resource), nil
}

// Start starts what was asked for since the last call.
func (c *controllers) Start(stop <-chan struct{}) {
	c.informers.Start(stop)
	c.metadataInformer.Start(stop)
}

// heldInFull are the kinds that a controller or the API server reads as whole objects.
var heldInFull = []schema.GroupVersionResource{
	{Version: "v1", Resource: "configmaps"},
	{Version: "v1", Resource: "endpoints"},
	{Version: "v1", Resource: "limitranges"},
	{Version: "v1", Resource: "namespaces"},
	{Version: "v1", Resource: "nodes"},
	{Version: "v1", Resource: "persistentvolumeclaims"},
	{Version: "v1", Resource: "pods"},
	{Version: "v1", Resource: "replicationcontrollers"},
	{Version: "v1", Resource: "resourcequotas"},
	{Version: "v1", Resource: "secrets"},
	{Version: "v1", Resource: "serviceaccounts"},
	{Version: "v1", Resource: "services"},
	{Group: "apps", Version: "v1", Resource: "controllerrevisions"},
	{Group: "apps", Version: "v1", Resource: "daemonsets"},
	{Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "apps", Version: "v1", Resource: "replicasets"},
	{Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Group: "batch", Version: "v1", Resource: "cronjobs"},
	{Group: "batch", Version: "v1", Resource: "jobs"},
	{Group: "certificates.k8s.io", Version: "v1", Resource: "certificatesigningrequests"},
	{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
	{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
}
