// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	quota "k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller"
	"k8s.io/kubernetes/pkg/controller/certificates/cleaner"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/certificates/signer"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/endpointslicemirroring"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/resourcequota"
	serviceaccountcontroller "k8s.io/kubernetes/pkg/controller/serviceaccount"
	quotainstall "k8s.io/kubernetes/pkg/quota/v1/install"
	"k8s.io/kubernetes/pkg/serviceaccount"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const (
	// certificateLifetime is the longest that a signed CSR is valid for.
	certificateLifetime = 365 * 24 * time.Hour
	namespaceResync     = 5 * time.Minute
	quotaResync         = 5 * time.Minute
	// maxEndpoints of one EndpointSlice, and of one mirrored Endpoints subset.
	maxEndpoints, maxMirrored = 100, 1000
)

// clusterControllers keep a cluster in order, with the arguments that
// cmd/kube-controller-manager/app/{core,certificates,discovery,rbac,service_accounts}.go
// gives them. The CSR approver is left out: it approves kubelets only.
func (c *controllers) clusterControllers() []constructor {
	return []constructor{
		c.namespace, c.serviceAccount, c.serviceAccountTokens, c.rootCA, c.certificates,
		c.clusterRoles, c.endpointSlices, c.mirroredEndpointSlices, c.quota, c.garbageCollector,
	}
}

// discover lists the namespaced kinds. While controllers are constructed the API server
// does not answer yet; they ask again later, and take a group without kinds for now. (Without even
// a group the namespace controller would end the process, and with it every tenant.)
func (c *controllers) discover() ([]*metav1.APIResourceList, error) {
	select {
	case <-c.started:
		return c.discovery.ServerPreferredNamespacedResources()
	default:
		return []*metav1.APIResourceList{{GroupVersion: corev1.SchemeGroupVersion.String()}}, nil
	}
}

func (c *controllers) namespace(ctx context.Context) (loop, error) {
	nc := namespace.NewNamespaceController(ctx, c.client, c.metadata, c.discover,
		c.informers.Core().V1().Namespaces(), namespaceResync, corev1.FinalizerKubernetes)
	return func(ctx context.Context) { nc.Run(ctx, workers) }, nil
}

func (c *controllers) serviceAccount(ctx context.Context) (loop, error) {
	core := c.informers.Core().V1()
	sac, err := serviceaccountcontroller.NewServiceAccountsController(klog.FromContext(ctx), core.ServiceAccounts(), core.Namespaces(), c.client,
		serviceaccountcontroller.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return nil, fmt.Errorf("constructing the ServiceAccount controller: %w", err)
	}
	return func(ctx context.Context) { sac.Run(ctx, 1) }, nil
}

// serviceAccountTokens fills Secrets of type kubernetes.io/service-account-token, which some
// charts still ask for.
func (c *controllers) serviceAccountTokens(ctx context.Context) (loop, error) {
	key, err := keyutil.PrivateKeyFromFile(c.files.path(platformv1alpha1.KeyServiceAccount))
	if err != nil {
		return nil, fmt.Errorf("reading the ServiceAccount key: %w", err)
	}
	generator, err := serviceaccount.JWTTokenGenerator(serviceaccount.LegacyIssuer, key)
	if err != nil {
		return nil, fmt.Errorf("making the token generator: %w", err)
	}
	ca, err := os.ReadFile(c.files.path(platformv1alpha1.KeyCACert))
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	core := c.informers.Core().V1()
	tokens, err := serviceaccountcontroller.NewTokensController(klog.FromContext(ctx), core.ServiceAccounts(), core.Secrets(), c.client,
		serviceaccountcontroller.TokensControllerOptions{TokenGenerator: generator, RootCA: ca})
	if err != nil {
		return nil, fmt.Errorf("constructing the token controller: %w", err)
	}
	return func(ctx context.Context) { tokens.Run(ctx, 1) }, nil
}

// rootCA publishes the CA as ConfigMap kube-root-ca.crt in every namespace.
func (c *controllers) rootCA(context.Context) (loop, error) {
	ca, err := os.ReadFile(c.files.path(platformv1alpha1.KeyCACert))
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	core := c.informers.Core().V1()
	publisher, err := rootcacertpublisher.NewPublisher(core.ConfigMaps(), core.Namespaces(), c.client, ca)
	if err != nil {
		return nil, fmt.Errorf("constructing the CA publisher: %w", err)
	}
	return func(ctx context.Context) { publisher.Run(ctx, 1) }, nil
}

// certificates signs approved client CSRs with the cluster's CA, and cleans old ones.
func (c *controllers) certificates(ctx context.Context) (loop, error) {
	csrs := c.informers.Certificates().V1().CertificateSigningRequests()
	clients, err := signer.NewKubeAPIServerClientCSRSigningController(ctx, c.client, csrs,
		c.files.path(platformv1alpha1.KeyCACert), c.files.path(platformv1alpha1.KeyCAKey), certificateLifetime)
	if err != nil {
		return nil, fmt.Errorf("constructing the CSR signer: %w", err)
	}
	old := cleaner.NewCSRCleanerController(c.client.CertificatesV1().CertificateSigningRequests(), csrs)
	return both(
		func(ctx context.Context) { clients.Run(ctx, 1) },
		func(ctx context.Context) { old.Run(ctx, 1) }), nil
}

func (c *controllers) clusterRoles(context.Context) (loop, error) {
	cra := clusterroleaggregation.NewClusterRoleAggregation(c.informers.Rbac().V1().ClusterRoles(), c.client.RbacV1())
	return func(ctx context.Context) { cra.Run(ctx, 1) }, nil
}

func (c *controllers) endpointSlices(ctx context.Context) (loop, error) {
	core := c.informers.Core().V1()
	esc := endpointslice.NewController(ctx, core.Pods(), core.Services(), core.Nodes(), c.informers.Discovery().V1().EndpointSlices(), maxEndpoints, c.client, 0)
	return func(ctx context.Context) { esc.Run(ctx, workers) }, nil
}

func (c *controllers) mirroredEndpointSlices(ctx context.Context) (loop, error) {
	core := c.informers.Core().V1()
	esmc := endpointslicemirroring.NewController(ctx, core.Endpoints(), c.informers.Discovery().V1().EndpointSlices(), core.Services(), maxMirrored, c.client, 0)
	return func(ctx context.Context) { esmc.Run(ctx, workers) }, nil
}

func (c *controllers) quota(ctx context.Context) (loop, error) {
	evaluators, err := quotainstall.NewQuotaConfigurationForControllers(quota.ListerFuncForResourceFunc(c.informers.ForResource), c.informers)
	if err != nil {
		return nil, fmt.Errorf("making the quota evaluators: %w", err)
	}
	rqc, err := resourcequota.NewController(ctx, &resourcequota.ControllerOptions{
		QuotaClient:               c.client.CoreV1(),
		ResourceQuotaInformer:     c.informers.Core().V1().ResourceQuotas(),
		ResyncPeriod:              controller.StaticResyncPeriodFunc(quotaResync),
		InformerFactory:           c,
		ReplenishmentResyncPeriod: controller.StaticResyncPeriodFunc(resyncPeriod),
		DiscoveryFunc:             c.discover,
		IgnoredResourcesFunc:      evaluators.IgnoredResources,
		InformersStarted:          c.started,
		Registry:                  quota.NewRegistry(evaluators.Evaluators()),
		UpdateFilter:              quotainstall.DefaultUpdateFilter(),
	})
	if err != nil {
		return nil, fmt.Errorf("constructing the quota controller: %w", err)
	}
	return both(
		func(ctx context.Context) { rqc.Run(ctx, workers) },
		func(ctx context.Context) { rqc.Sync(ctx, c.discover, discoveryPeriod) }), nil
}

func (c *controllers) garbageCollector(ctx context.Context) (loop, error) {
	gc, err := garbagecollector.NewGarbageCollector(ctx, c.client, c.metadata, c.mapper, garbagecollector.DefaultIgnoredResources(), c, c.started)
	if err != nil {
		return nil, fmt.Errorf("constructing the garbage collector: %w", err)
	}
	return both(
		func(ctx context.Context) { gc.Run(ctx, workers, discoveryPeriod) },
		func(ctx context.Context) { gc.Sync(ctx, c.discovery, discoveryPeriod) },
		func(ctx context.Context) {
			wait.UntilWithContext(ctx, func(context.Context) { c.mapper.Reset() }, discoveryPeriod)
		}), nil
}

// both runs several loops as one.
func both(loops ...loop) loop {
	return func(ctx context.Context) {
		var wg sync.WaitGroup
		for _, l := range loops {
			wg.Go(func() { l(ctx) })
		}
		wg.Wait()
	}
}
