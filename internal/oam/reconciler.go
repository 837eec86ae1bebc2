// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
	"github.com/skerry-platform/skerry/internal/oam/render"
	"github.com/skerry-platform/skerry/internal/status"
)

// labelPause stops reconciliation, as in KubeVela; AnnotationPaused does too.
const labelPause = "controller.core.oam.dev/pause"

// reconciler reconciles Applications of one virtual cluster.
type reconciler struct {
	// cached reads Applications and definitions; direct reads and writes what must
	// not be older than the last write.
	cached  client.Client
	direct  client.Client
	mapper  meta.RESTMapper
	live    *liveObjects
	applier *apply.Applier
	memory  *memory
	// evaluator runs the CUE of definitions.
	evaluator render.Evaluator
	stages    *stages
	events    events.EventRecorder

	cluster string
	version version.Info
}

// run is one reconcile of one Application, filled step by step.
type run struct {
	app       *oamv1.Application
	memory    *appMemory
	inventory *inventory

	// refused is what is wrong with the Application or a definition; unparsed is set
	// too when it is wrong whatever the definitions are.
	refused, unparsed error
	definitions       render.Definitions

	// keys are of everything that was rendered or found in memory on the way.
	keys []string
	// result is what is to run, rendered from key; nil when there is nothing.
	result   *render.Result
	key      string
	revision oamv1.Revision
	// pinned is the version that the Application stays with, if it asks to.
	pinned string

	components map[string]*dispatched
	// leaving are objects on their way out; pruning is why that failed.
	leaving leaving
	pruning error
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	app := &oamv1.Application{}
	if err := r.cached.Get(ctx, req.NamespacedName, app); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := app.DeepCopy()
	var result ctrl.Result
	var err error
	switch {
	case !app.DeletionTimestamp.IsZero():
		if !controllerutil.ContainsFinalizer(app, oamv1.FinalizerResourceTracker) {
			return ctrl.Result{}, nil
		}
		var gone bool
		gone, err = r.delete(ctx, app)
		if gone {
			return ctrl.Result{}, nil
		}
	case app.Annotations[platformv1alpha1.AnnotationPaused] == "true" || app.Labels[labelPause] == "true":
		setPaused(app)
	case controllerutil.AddFinalizer(app, oamv1.FinalizerResourceTracker):
		// The write comes back as an event.
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		return ctrl.Result{}, ignoreStale(r.direct.Patch(ctx, app, patch))
	default:
		result, err = r.bring(ctx, app)
	}
	if werr := status.Patch(ctx, r.direct, app, before); werr != nil {
		return result, errors.Join(err, ignoreStale(werr))
	}
	r.announce(before, app)
	return result, err
}

// ignoreStale drops the error of a write to an Application that has changed or gone: the
// reconcile worked on an old copy, and the newer one is already on its way here.
func ignoreStale(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// bring brings the cluster to what the Application says and writes down, in app, how far
// that went. The error is one that trying again may help against.
func (r *reconciler) bring(ctx context.Context, app *oamv1.Application) (ctrl.Result, error) {
	log := ctrl.LoggerFrom(ctx)
	run := &run{app: app, memory: r.memory.of(client.ObjectKeyFromObject(app))}
	err := r.stages.observe("render", func() error { return errors.Join(r.render(ctx, run), run.refused) })
	if err != nil && run.refused == nil {
		setFailed(app, err)
		return ctrl.Result{}, err
	}
	if run.refused != nil {
		log.V(1).Info("Refused the Application", "reason", run.refused.Error())
	}
	if run.inventory, err = r.inventory(ctx, app); err != nil {
		setFailed(app, err)
		return ctrl.Result{}, err
	}
	if run.result != nil && run.refused == nil && run.pinned == "" {
		err := r.stages.observe("revision", func() error {
			return r.record(ctx, app, run.definitions, run.revision, run.result.Plan.RevisionLimit)
		})
		if err != nil {
			setUnrecorded(app, err)
			return ctrl.Result{}, err
		}
		run.memory.recorded = run.revision.DeepCopy()
	}
	if run.result != nil {
		err = r.stages.observe("apply", func() error {
			r.dispatch(ctx, run)
			return run.applyError()
		})
	}
	if run.complete() {
		err = r.stages.observe("prune", func() error { return r.collect(ctx, run) })
	}
	run.report(r.cluster)
	if run.refused == nil && app.Status.Phase == oamv1.PhaseRunning && run.memory.succeeded != run.revision.Name {
		serr := r.succeeded(ctx, app, run.revision)
		if serr == nil {
			run.memory.succeeded = run.revision.Name
		}
		err = errors.Join(err, serr)
	}
	again, werr := r.await(run)
	return ctrl.Result{RequeueAfter: again}, errors.Join(err, werr)
}

// await leaves watched what the Application needs to be woken by, and returns the wait
// before looking again at what no event announces.
func (r *reconciler) await(run *run) (again time.Duration, err error) {
	app := client.ObjectKeyFromObject(run.app)
	needed := map[schema.GroupVersionKind]bool{}
	for _, e := range run.inventory.entries() {
		needed[e.Object().GroupVersionKind()] = true
	}
	group, unserved := unservedGroup(run.refused)
	if !unserved {
		r.live.served(app)
		r.live.keep(app, needed)
		var refused *render.Error
		if errors.As(run.refused, &refused) {
			err = refused.Err // the cluster could not say whether it serves a kind
		}
		return 0, err
	}
	again, err = r.live.awaitGroup(app, group)
	needed[crdKind], needed[apiServiceKind] = true, true
	r.live.keep(app, needed)
	return again, err
}

// forget drops what is known of an Application that is gone.
func (r *reconciler) forget(app types.NamespacedName) {
	r.memory.forget(app)
	r.live.served(app)
	r.live.keep(app, nil)
}

// complete reports whether every component is in the cluster as the Application says, so
// that what is beyond that may go. Never when the Application was refused.
func (run *run) complete() bool {
	if run.result == nil || run.refused != nil {
		return false
	}
	for _, d := range run.components {
		if d.err != nil || len(d.waiting) > 0 {
			return false
		}
	}
	return true
}

// collect deletes what is in the inventory and no longer rendered.
func (r *reconciler) collect(ctx context.Context, run *run) error {
	wanted := apply.Of(run.result.Objects()...)
	if run.result.Plan.KeepLegacy {
		return r.save(ctx, run.app, run.inventory, apply.Union(wanted, run.inventory.entries()), leaving{}, sources(run.result))
	}
	run.leaving, run.pruning = r.remove(ctx, client.ObjectKeyFromObject(run.app), run.inventory, wanted)
	if err := r.save(ctx, run.app, run.inventory, wanted, run.leaving, sources(run.result)); err != nil {
		return err
	}
	return run.pruning
}

func (run *run) applyError() error {
	var errs []error
	for _, c := range run.result.Components {
		if d := run.components[c.Name]; d.err != nil {
			errs = append(errs, fmt.Errorf("component %q: %w", c.Name, d.err))
		}
	}
	return errors.Join(errs...)
}

// delete removes everything in the inventory and reports whether the Application is free
// to go. Until then app's status says what it waits for.
func (r *reconciler) delete(ctx context.Context, app *oamv1.Application) (gone bool, err error) {
	inv, err := r.inventory(ctx, app)
	if err != nil {
		return false, err
	}
	var out leaving
	err = r.stages.observe("delete", func() error {
		var err error
		out, err = r.remove(ctx, client.ObjectKeyFromObject(app), inv, nil)
		return err
	})
	if inv.exists {
		err = errors.Join(err, r.save(ctx, app, inv, nil, out, nil))
	}
	if err != nil || len(out.going) > 0 {
		setDeleting(app, out, err)
		return false, err
	}
	if err := r.forgetRevisions(ctx, app, 0); err != nil {
		return false, err
	}
	if inv.exists {
		if err := r.direct.Delete(ctx, inv.tracker); client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("deleting the inventory of Application %s: %w", client.ObjectKeyFromObject(app), err)
		}
	}
	before := app.DeepCopy()
	controllerutil.RemoveFinalizer(app, oamv1.FinalizerResourceTracker)
	if err := r.direct.Patch(ctx, app, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	r.forget(client.ObjectKeyFromObject(app))
	return true, nil
}
