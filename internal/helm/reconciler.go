// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v4/pkg/action"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

const (
	// mostActions of one reconcile; an upgrade after a crash takes three (unlock, upgrade,
	// rollback).
	mostActions = 5
	// unwatchedInterval is how often workloads of kinds that no watch covers are read again.
	unwatchedInterval = 15 * time.Second
	// refusedInterval is how often it is tried again what only a change heals: a
	// repository may change without a word.
	refusedInterval = 5 * time.Minute
	// conflictRetry is when to start again after somebody else wrote to the Release.
	conflictRetry = 20 * time.Millisecond
)

// Reconciler serves namespaced Releases. Every call for a Release is made as its tenant;
// the embedded client, which acts as the operator, reads Releases and namespaces
// and writes the Release itself (status.Own).
type Reconciler struct {
	client.Client
	config   *rest.Config
	sdk      *sdk
	charts   *charts
	options  Options
	recorder events.EventRecorder
	metrics  *metrics
	tracker  *tracker
	turns    *turns
}

// Reconcile brings one Release to what it asks for and writes its status once.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var rel helmv1beta1.Release
	if err := r.Get(ctx, req.NamespacedName, &rel); err != nil {
		if apierrors.IsNotFound(err) {
			r.tracker.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	where, err := r.place(ctx, rel.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	if where.Terminating {
		return ctrl.Result{}, r.release(ctx, &rel)
	}
	if where.tenant != nil {
		if !r.turns.enter(where.tenant.VirtualCluster, req) {
			return ctrl.Result{}, nil
		}
		defer r.turns.leave(where.tenant.VirtualCluster)
	}
	if rel.DeletionTimestamp == nil && where.tenant != nil && !isPaused(&rel) {
		if err := r.hold(ctx, &rel); err != nil {
			return ctrl.Result{}, err
		}
	}
	before := rel.DeepCopy()
	result, err := r.steps(ctx, &rel, where)
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // the engine stops; what it was about to say may not be true
	}
	if rel.DeletionTimestamp != nil && !controllerutil.ContainsFinalizer(&rel, platformv1alpha1.FinalizerCleanup) {
		return result, client.IgnoreNotFound(err)
	}
	switch perr := status.Patch(ctx, r.Client, &rel, before); {
	case perr == nil:
		r.announce(before, &rel)
	case err == nil && apierrors.IsConflict(perr):
		return ctrl.Result{RequeueAfter: conflictRetry}, nil // somebody else wrote: judge that
	default:
		err = errors.Join(err, perr)
	}
	return result, err
}

// steps chooses between the ways that a Release can take.
func (r *Reconciler) steps(ctx context.Context, rel *helmv1beta1.Release, where placement) (ctrl.Result, error) {
	switch {
	case where.Refused != "":
		refuse(rel, where.Refused)
		return ctrl.Result{}, nil
	case isPaused(rel):
		setSynced(rel, metav1.ConditionFalse, platformv1alpha1.ReasonReconcilePaused,
			"annotation "+platformv1alpha1.AnnotationPaused+" is \"true\"; remove it to go on")
		return ctrl.Result{}, nil
	}
	cfg, err := r.sdk.configuration(where.tenant.config, where.tenant.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	if rel.DeletionTimestamp != nil {
		return r.remove(ctx, rel, where.tenant, cfg)
	}
	return r.converge(ctx, rel, where.tenant, cfg)
}

// converge acts until nothing is left to do, and reports.
func (r *Reconciler) converge(ctx context.Context, rel *helmv1beta1.Release, t *tenant, cfg *action.Configuration) (ctrl.Result, error) {
	j := &job{cfg: cfg, name: helmName(rel), namespace: t.Namespace, client: t.client, spec: rel.Spec.ForProvider, want: wantedOf(rel), secrets: &secrets{}}
	o := outcome{Note: unservedNote(rel.Spec)}
	unfetched, err := r.prepare(ctx, rel, t, j)
	if err == nil {
		o.Chart = j.chart
		if err = r.act(ctx, rel, t, j, &o); errors.Is(err, errNoChart) {
			err = unfetched
		}
		o.unfetched(j.secrets.hideIn(unfetched))
	} else if observed, oerr := observe(ctx, t, cfg, j.name, j.want); oerr == nil {
		// What runs goes on to be watched while nobody knows what should.
		o.Observed = observed
	}
	if err != nil {
		err = j.secrets.hideIn(err)
		o.Problem = explain(err, t)
	}
	report(rel, o.hush(j.secrets))
	return r.next(ctx, o, err)
}

// act is the loop of observe, decide, perform.
func (r *Reconciler) act(ctx context.Context, rel *helmv1beta1.Release, t *tenant, j *job, o *outcome) error {
	key := client.ObjectKeyFromObject(rel)
	var failed error
	for range mostActions {
		observed, err := r.observe(ctx, key, t, j)
		if err != nil {
			return errors.Join(failed, err)
		}
		o.Observed, o.Decision = observed, decide(observed, j.want, time.Now())
		if o.Decision.Do != doRepair && len(observed.Drift) > 0 {
			r.tracker.mark(key) // it is put back later
		}
		if failed != nil && o.Decision.Do != doRollback {
			return failed
		}
		do := j.performerFor(o.Decision, observed)
		switch {
		case do == nil:
			return nil
		case j.chart == nil && o.Decision.needsChart():
			return errNoChart
		case o.Decision.records():
			r.tracker.take(key) // everything is written now; a change from here on counts
		}
		if err := r.perform(ctx, rel, j, do, o.Decision); err != nil {
			if ctx.Err() != nil && o.Decision.records() {
				return errors.Join(err, j.interrupted())
			}
			// Once more around: what ran before may have to be restored.
			failed = fmt.Errorf("%s of chart %s: %w", o.Decision.Do, j.chartName(), err)
		}
		if o.Decision.Do == doRepair {
			r.tracker.repaired(key, time.Now())
			if failed != nil {
				r.tracker.mark(key) // it still differs, and nothing will happen to it by itself
			}
		}
	}
	return errors.Join(failed, fmt.Errorf("release %s does not come to rest after %d actions", j.name, mostActions))
}

// observe reads the release, and compares it with what is there when something touched that.
func (r *Reconciler) observe(ctx context.Context, key client.ObjectKey, t *tenant, j *job) (observation, error) {
	o, err := observe(ctx, t, j.cfg, j.name, j.want)
	if err != nil || o.Last == nil || o.Last.State != stateDeployed {
		return o, err
	}
	if touched := r.tracker.take(key); !touched && len(o.Workloads.Missing) == 0 {
		return o, nil
	}
	o.Repairs = r.tracker.repairs(key, time.Now())
	if o.Drift, err = t.drifted(ctx, o.Last.Manifest, j.name); err != nil {
		r.tracker.mark(key)
	}
	return o, err
}

// next says when to look again without being told by a watch.
func (r *Reconciler) next(ctx context.Context, o outcome, err error) (ctrl.Result, error) {
	var after time.Duration
	if until := o.Decision.Until; !until.IsZero() {
		after = max(time.Until(until), time.Second)
	}
	if w := o.Observed.Workloads; !w.Ready && w.Unwatched {
		after = sooner(after, unwatchedInterval)
	}
	if o.Chart == nil {
		after = sooner(after, refusedInterval)
	}
	if err == nil {
		return ctrl.Result{RequeueAfter: after}, nil
	}
	if !isRefusal(err) {
		return ctrl.Result{}, err
	}
	log.FromContext(ctx).Info("refused", "reason", err.Error())
	return ctrl.Result{RequeueAfter: sooner(after, refusedInterval)}, nil
}

// refuse reports that nothing is done.
func refuse(rel *helmv1beta1.Release, why string) {
	rel.Status.Synced, rel.Status.ObservedGeneration = false, rel.Generation
	setSynced(rel, metav1.ConditionFalse, platformv1alpha1.ReasonReconcileError, why)
	setReady(rel, metav1.ConditionFalse, platformv1alpha1.ReasonUnavailable, why)
}

// isPaused as Crossplane has it.
func isPaused(rel *helmv1beta1.Release) bool {
	return rel.Annotations[platformv1alpha1.AnnotationPaused] == "true"
}

// hold adds the finalizer.
func (r *Reconciler) hold(ctx context.Context, rel *helmv1beta1.Release) error {
	before := rel.DeepCopy()
	if !controllerutil.AddFinalizer(rel, platformv1alpha1.FinalizerCleanup) {
		return nil
	}
	if err := r.Patch(ctx, rel, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding the finalizer to Release %s/%s: %w", rel.Namespace, rel.Name, err)
	}
	return nil
}

// release removes the finalizer of a Release that is being deleted.
func (r *Reconciler) release(ctx context.Context, rel *helmv1beta1.Release) error {
	before := rel.DeepCopy()
	if rel.DeletionTimestamp == nil || !controllerutil.RemoveFinalizer(rel, platformv1alpha1.FinalizerCleanup) {
		return nil
	}
	if err := r.Patch(ctx, rel, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer from Release %s/%s: %w", rel.Namespace, rel.Name, err)
	}
	return nil
}
