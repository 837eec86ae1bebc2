// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops is the built-in GitOps engine (station 6 of docs/flow.md). It serves
// argoproj.io Applications: it resolves the AppProject, the repository and the cluster Secret,
// reads the plain YAML and JSON files of a revision, applies them to the destination as
// Argo CD's field manager, prunes, repairs what was changed there, and writes Argo CD's status.
//
// What it keeps: status.resources is the inventory that pruning and deletion work from; it
// is written before anything is applied, so no crash can leave an object unknown. It holds no
// informer on a destination: one label-selected watch for each kind that an
// Application has applied, storing a fingerprint and the health of each object.
//
// Deletion with the finalizer resources-finalizer.argocd.argoproj.io deletes what was
// applied and waits until it is gone. It does not wait for a cluster that cannot come back:
// the Application goes at once when its cluster Secret or its VirtualCluster is gone, and
// after Options.DeletionPatience when the cluster does not answer for another reason. When
// spec.destination names another cluster than before, what is on the former one stays there, as
// in Argo CD.
//
// A destination is always a cluster Secret: the host itself is none by default.
package gitops

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/source"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/requeue"
)

const (
	defaultNamespace = "argocd"
	defaultInterval  = 3 * time.Minute
	defaultPatience  = 5 * time.Minute
	concurrency      = 10
)

// Options of the engine.
type Options struct {
	// Namespace of the Applications, AppProjects and Secrets. Default argocd.
	Namespace string
	// Webhook receives push events; it works once the engine runs. Nil: none.
	Webhook *Webhook
	// CacheDir is a folder for clones while they are read. Empty: memory.
	CacheDir string
	// Interval at which a repository is asked for a new revision when nobody tells of a
	// push. Default 3 minutes, as Argo CD.
	Interval time.Duration
	// DeletionPatience is how long a deletion waits for a cluster that does not answer.
	// Default 5 minutes.
	DeletionPatience time.Duration
}

// SetupWithManager adds the engine to the manager.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	opts = withDefaults(opts)
	if err := prepareCacheDir(opts.CacheDir); err != nil {
		return err
	}
	m, err := newMetrics(ctrlmetrics.Registry)
	if err != nil {
		return err
	}
	secrets, err := secretCache(mgr, opts.Namespace)
	if err != nil {
		return err
	}
	r := &reconciler{
		client: mgr.GetClient(), reader: mgr.GetAPIReader(), secrets: secrets, opts: opts, metrics: m,
		destinations: &destinations{secrets: secrets, namespace: opts.Namespace},
		recorder:     mgr.GetEventRecorder("skerry-gitops"),
	}
	if opts.Webhook != nil {
		opts.Webhook.bind(r)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("gitops").
		For(&argov1alpha1.Application{}, builder.WithPredicates(r.inNamespace(), applicationChanged())).
		Watches(&argov1alpha1.AppProject{}, handler.EnqueueRequestsFromMapFunc(r.ofProject), builder.WithPredicates(r.inNamespace())).
		WatchesRawSource(source.Kind(secrets, &corev1.Secret{}, r.secretEvents())).
		WatchesRawSource(source.Func(r.start)).
		WithOptions(controller.Options{SkipNameValidation: ptr.To(true), MaxConcurrentReconciles: concurrency, RateLimiter: requeue.Limiter()}).
		Complete(r)
}

func withDefaults(opts Options) Options {
	if opts.Namespace == "" {
		opts.Namespace = defaultNamespace
	}
	if opts.Interval == 0 {
		opts.Interval = defaultInterval
	}
	if opts.DeletionPatience == 0 {
		opts.DeletionPatience = defaultPatience
	}
	return opts
}

// secretCache holds Argo CD's Secrets of one namespace and no others.
func secretCache(mgr ctrl.Manager, namespace string) (cache.Cache, error) {
	exists, err := labels.NewRequirement(argov1alpha1.LabelSecretType, selection.Exists, nil)
	if err != nil {
		return nil, err
	}
	c, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: {
			Namespaces: map[string]cache.Config{namespace: {}}, Label: labels.NewSelector().Add(*exists),
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache of Argo CD's Secrets: %w", err)
	}
	if err := mgr.Add(c); err != nil {
		return nil, fmt.Errorf("adding the cache of Argo CD's Secrets: %w", err)
	}
	return c, nil
}
