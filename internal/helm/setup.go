// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	clusterv1beta1 "github.com/skerry-platform/skerry/api/helm.crossplane.io/v1beta1"
	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	"github.com/skerry-platform/skerry/internal/status"
)

// SetupWithManager adds the Release engine to a manager whose scheme knows both groups of
// Releases and the built-in kinds. It needs leader election where more than one process may
// run: a Release must be worked on once at a time.
func SetupWithManager(mgr ctrl.Manager, options Options) error {
	options = options.withDefaults()
	found, err := newCharts(options.Catalog, options.CatalogImageRegistry, options.FetchTimeout)
	if err != nil {
		return err
	}
	s, err := newSDK(mgr.GetConfig(), mgr.GetRESTMapper())
	if err != nil {
		return err
	}
	m, err := newMetrics(ctrlmetrics.Registry)
	if err != nil {
		return fmt.Errorf("registering the metrics of the Release engine: %w", err)
	}
	if err := addIndexes(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return err
	}
	own, err := status.Own(mgr)
	if err != nil {
		return err
	}
	reconciler := &Reconciler{
		Client:   own,
		config:   mgr.GetConfig(),
		sdk:      s,
		charts:   found,
		options:  options,
		recorder: mgr.GetEventRecorder("skerry-helm"),
		metrics:  m,
		tracker:  &tracker{},
		turns:    newTurns(max(1, options.Concurrency/4)),
	}
	b := ctrl.NewControllerManagedBy(mgr).
		Named("release").
		For(&helmv1beta1.Release{}, builder.WithPredicates(specOrAnnotations())).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(releasesIn(mgr.GetClient())), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesRawSource(source.Func(reconciler.turns.start)).
		WithOptions(controllerOptions(options.Concurrency))
	if err := addWatches(mgr, b, reconciler.tracker); err != nil {
		return err
	}
	if err := b.Complete(reconciler); err != nil {
		return fmt.Errorf("setting up the Release engine: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		Named("cluster-release").
		For(&clusterv1beta1.Release{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controllerOptions(1)).
		Complete(&clusterRefuser{Client: mgr.GetClient()})
	if err != nil {
		return fmt.Errorf("setting up the refusal of cluster-scoped Releases: %w", err)
	}
	return nil
}

// specOrAnnotations drops the events of the engine's own status writes. A deletion counts
// as a change of the generation.
func specOrAnnotations() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
}

func controllerOptions(concurrency int) controller.Options {
	return controller.Options{
		SkipNameValidation:      ptr.To(true),
		MaxConcurrentReconciles: concurrency,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](500*time.Millisecond, longestPause),
	}
}
