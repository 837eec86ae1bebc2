// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oam is the OAM engine of one virtual cluster: station 7 of docs/flow.md. It renders
// Applications (package render), applies what comes out (package apply), keeps the
// inventory in a ResourceTracker, and lets health climb back into the Application's status.
//
// A reconcile is a list of steps, and each step has a condition:
//
//	Parsed    the Application makes sense by itself        plan, package render
//	Render    with the definitions it becomes objects      render.go
//	Revision  this version of it is on record              revision.go
//	Applied   its objects are in the cluster               dispatch.go, inventory.go
//	Ready     its components are healthy                   status.go
//	Synced    all of the above but Ready succeeded         status.go
//
// When a step before Applied fails, the last version on record keeps running, with its
// drift repaired and its health reported; nothing is deleted.
//
// One process may run many engines, one for each virtual cluster.
package oam

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/apply"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

// FieldManager of every object that the engine applies.
const FieldManager = "skerry-oam"

const (
	// workers is the number of Applications reconciled at once. A reconcile mostly
	// waits for the API server: rendering is 2 to 5 ms of it.
	workers = 8
	// firstRetry and lastRetry bound the wait after an error of the API server.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Options of Run.
type Options struct {
	// Virtual is how to reach the virtual cluster's API server, as somebody who may
	// do everything in it.
	Virtual *rest.Config
	// ClusterName is the virtual cluster's name, which Applications may call it by.
	ClusterName string
	// Evaluator of the CUE in definitions, which anybody in the virtual cluster may write;
	// nil evaluates in this process, without limits.
	Evaluator render.Evaluator
	Log       logr.Logger
	// Registerer of the engine's metrics; nil means controller-runtime's.
	Registerer prometheus.Registerer
}

// Run reconciles the Applications of one virtual cluster until the context ends. The
// CRDs of core.oam.dev must be there.
func Run(ctx context.Context, opts Options) error {
	cfg := rest.CopyConfig(opts.Virtual)
	cfg.QPS = -1 // the API server's own fairness decides
	scheme := runtime.NewScheme()
	if err := oamv1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("adding the OAM kinds: %w", err)
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: scheme, Logger: opts.Log,
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		Controller:             config.Controller{SkipNameValidation: ptr.To(true)},
		Cache:                  cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		return fmt.Errorf("making the manager of virtual cluster %s: %w", opts.ClusterName, err)
	}
	r, err := newReconciler(cfg, mgr, opts)
	if err != nil {
		return err
	}
	if err := r.setup(ctx, mgr); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the OAM engine of virtual cluster %s: %w", opts.ClusterName, err)
	}
	return nil
}

func newReconciler(cfg *rest.Config, mgr ctrl.Manager, opts Options) (*reconciler, error) {
	mapper := mgr.GetRESTMapper()
	direct, err := client.New(cfg, client.Options{Scheme: mgr.GetScheme(), Mapper: mapper, HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("making the client of virtual cluster %s: %w", opts.ClusterName, err)
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(cfg, mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making the discovery client of virtual cluster %s: %w", opts.ClusterName, err)
	}
	version, err := disco.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("asking virtual cluster %s for its version: %w", opts.ClusterName, err)
	}
	live, err := newLiveObjects(cfg, mgr, direct)
	if err != nil {
		return nil, err
	}
	reg := opts.Registerer
	if reg == nil {
		reg = metrics.Registry
	}
	return &reconciler{
		cached: mgr.GetClient(), direct: direct, mapper: mapper, live: live,
		applier: apply.New(direct, FieldManager), memory: newMemory(), evaluator: opts.Evaluator,
		cluster: opts.ClusterName, version: *version, stages: newStages(reg), events: mgr.GetEventRecorder(FieldManager),
	}, nil
}

// setup builds the controller: Applications, the definitions they use, and (from the
// moment that the first object of a kind is applied) what was applied.
func (r *reconciler) setup(ctx context.Context, mgr ctrl.Manager) error {
	if err := indexDefinitions(ctx, mgr); err != nil {
		return err
	}
	b := ctrl.NewControllerManagedBy(mgr).
		Named("application").
		For(&oamv1.Application{}).
		WithOptions(controller.Options{
			SkipNameValidation:      ptr.To(true),
			MaxConcurrentReconciles: workers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		})
	b = r.watchDefinitions(b).WatchesRawSource(source.Func(r.live.start))
	if err := b.Complete(r); err != nil {
		return fmt.Errorf("building the controller of Applications: %w", err)
	}
	return nil
}
