// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	oamv1beta1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.crossplane.io/v1beta1"
	helmmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/catalog"
	"github.com/skerry-platform/skerry/internal/claim"
	"github.com/skerry-platform/skerry/internal/etcd"
	"github.com/skerry-platform/skerry/internal/gitops"
	"github.com/skerry-platform/skerry/internal/helm"
	"github.com/skerry-platform/skerry/internal/register"
	"github.com/skerry-platform/skerry/internal/repo"
	"github.com/skerry-platform/skerry/internal/vcluster"
)

const (
	// shutdownLimit leaves time to give the lease back before the Pod's 30 s are over.
	shutdownLimit = 20 * time.Second
	// readyLimit is shorter than the probe's patience of 1 s.
	readyLimit = 500 * time.Millisecond
)

// run builds the manager, adds every station, and runs until ctx is done.
func run(ctx context.Context, o options) error {
	log, err := logger(o.logLevel)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log) // client-go's lines look like all others
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the host cluster: %w", err)
	}
	// The API server's own fairness limits us; a client-side limit only adds waiting.
	config.QPS, config.Burst = -1, 0
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}
	admin, err := etcd.New(vcluster.EtcdConfig(o.etcdEndpoints, o.etcdTLSDir))
	if err != nil {
		return fmt.Errorf("connecting to etcd: %w", err)
	}
	defer admin.Close()
	if err := addStations(mgr, o, admin); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func newManager(config *rest.Config, o options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	for _, add := range []func(*runtime.Scheme) error{
		platformv1alpha1.AddToScheme, oamv1beta1.AddToScheme, helmv1beta1.AddToScheme, helmmv1beta1.AddToScheme, argov1alpha1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	argocd := cache.ByObject{Namespaces: map[string]cache.Config{o.argocdNamespace: {}}}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:        o.healthAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "skerry-operator",
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       ptr.To(shutdownLimit),
		// Argo CD's objects stand in one namespace, and so do the Secrets that are kept in memory; every
		// other Secret is read when it is needed.
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: argocd, &argov1alpha1.Application{}: argocd, &argov1alpha1.AppProject{}: argocd,
		}},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}}},
	})
	if err != nil {
		return nil, fmt.Errorf("building the manager: %w", err)
	}
	return mgr, errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("caches", cachesSynced(mgr)))
}

// cachesSynced is ready once everything that is watched was read: not while a right or a CRD is missing.
// A replica that does not lead is ready too, so that it can take over.
func cachesSynced(mgr ctrl.Manager) healthz.Checker {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("not everything that is watched was read yet")
		}
		return nil
	}
}

// addStations adds stations 2 to 8 of docs/flow.md, in their order.
func addStations(mgr ctrl.Manager, o options, admin *etcd.Admin) error {
	providers := map[string]repo.Provider{}
	if o.gitServerURL != "" {
		providers["local"] = &repo.Local{URL: o.gitServerURL, Credentials: repo.FileCredentials(o.gitCredentialsDir)}
	}
	stations := []struct {
		name  string
		setup func() error
	}{
		{"claims", func() error {
			return claim.SetupWithManager(mgr, claim.Options{
				ArgoNamespace: o.argocdNamespace, DemoImage: o.demoImage, Domain: o.domain, KubernetesVersion: o.kubernetesVersion,
			})
		}},
		{"repositories", func() error {
			return repo.SetupWithManager(mgr, repo.Options{Providers: providers, ArgoNamespace: o.argocdNamespace, Template: catalog.RenderTemplate})
		}},
		{"virtual clusters", func() error {
			return vcluster.SetupWithManager(mgr, vcluster.Options{Namespace: o.namespace, Etcd: admin, EtcdTLSDir: o.etcdTLSDir})
		}},
		{"registration", func() error {
			return register.SetupWithManager(mgr, register.Options{ArgoNamespace: o.argocdNamespace})
		}},
		{"gitops", func() error { return addGitOps(mgr, o) }},
		{"releases", func() error {
			return helm.SetupWithManager(mgr, helm.Options{
				Mirrors: o.repositoryMirrors, AllowedRepositories: o.allowedRepositories, CatalogImageRegistry: o.catalogImageRegistry,
			})
		}},
		{"definitions", func() error { return mgr.Add(definitions{client: mgr.GetClient()}) }},
	}
	for _, s := range stations {
		if err := s.setup(); err != nil {
			return fmt.Errorf("adding %s: %w", s.name, err)
		}
	}
	return nil
}

// addGitOps adds the built-in engine and its webhook, unless Argo CD does that work.
func addGitOps(mgr ctrl.Manager, o options) error {
	switch o.gitopsEngine {
	case "argocd":
		return nil
	case "builtin":
	default:
		return fmt.Errorf("--gitops-engine is %q; it may be builtin or argocd", o.gitopsEngine)
	}
	webhook := gitops.NewWebhook(func(context.Context) ([]byte, error) { return os.ReadFile(o.webhookSecret) })
	err := gitops.SetupWithManager(mgr, gitops.Options{Namespace: o.argocdNamespace, CacheDir: o.cacheDir, Webhook: webhook})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.webhookAddress)
	if err != nil {
		return fmt.Errorf("listening for push events: %w", err)
	}
	return mgr.Add(&manager.Server{
		Name: "push webhook", Listener: listener,
		Server: &http.Server{Handler: webhook, ReadHeaderTimeout: 5 * time.Second},
	})
}
