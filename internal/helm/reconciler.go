// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v4/pkg/action"
	corev1 "k8s.io/api/core/v1"
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
)

// Reconciler serves namespaced Releases. Every call for a Release is made as its tenant;
// the embedded client, which acts as the operator, reads Releases and namespaces
// and writes the Release itself.
type Reconciler struct {
	client.Client
	config   *rest.Config
	sdk      *sdk
	charts   *charts
	options  Options
	recorder events.EventRecorder
	metrics  *metrics
}

// Reconcile brings one Release to what it asks for and writes its status once.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var rel helmv1beta1.Release
	if err := r.Get(ctx, req.NamespacedName, &rel); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	where, err := r.place(ctx, rel.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	if where.Terminating {
		return ctrl.Result{}, r.release(ctx, &rel)
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
	r.announce(before, &rel)
	if rel.DeletionTimestamp != nil && !controllerutil.ContainsFinalizer(&rel, platformv1alpha1.FinalizerCleanup) {
		return result, client.IgnoreNotFound(err)
	}
	return result, errors.Join(err, status.Patch(ctx, r.Client, &rel, before))
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
	j := &job{cfg: cfg, name: helmName(rel), namespace: t.Namespace, spec: rel.Spec.ForProvider, want: wantedOf(rel), secrets: &secrets{}}
	o := outcome{Note: unservedNote(rel.Spec)}
	err := r.prepare(ctx, rel, t, j)
	if err == nil {
		o.Chart = j.chart
		err = r.act(ctx, rel, t, j, &o)
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
	var failed error
	for range mostActions {
		observed, err := observe(ctx, t, j.cfg, j.name, j.want)
		if err != nil {
			return errors.Join(failed, err)
		}
		o.Observed, o.Decision = observed, decide(observed, j.want, time.Now())
		if failed != nil && o.Decision.Do != doRollback {
			return failed
		}
		do := j.performerFor(o.Decision, observed)
		if do == nil {
			return nil
		}
		if err := r.perform(ctx, rel, j, do, o.Decision); err != nil {
			if ctx.Err() != nil {
				return errors.Join(err, j.interrupted())
			}
			// Once more around: what ran before may have to be restored.
			failed = fmt.Errorf("%s of chart %s %s: %w", o.Decision.Do, j.chart.Name, j.chart.Version, err)
		}
	}
	return errors.Join(failed, fmt.Errorf("release %s does not come to rest after %d actions", j.name, mostActions))
}

// perform runs one action, measured and told.
func (r *Reconciler) perform(ctx context.Context, rel *helmv1beta1.Release, j *job, do performer, d decision) error {
	began := time.Now()
	d.Why = j.secrets.hide(d.Why)
	err := do.perform(ctx)
	if err != nil {
		err = j.hushed(err)
	}
	r.metrics.observe(d.Do, began, err)
	log.FromContext(ctx).Info("acted on release", "action", d.Do, "why", d.Why, "took", time.Since(began).String(), "failed", err != nil)
	switch {
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		r.recorder.Eventf(rel, nil, corev1.EventTypeWarning, "Failed", string(d.Do), "%s: %v", d.Why, clip(err.Error(), 800))
		return err
	}
	r.recorder.Eventf(rel, nil, corev1.EventTypeNormal, "Done", string(d.Do), "%s", d.Why)
	return nil
}

// prepare finds out what is wanted: chart, values, and the digest of both.
func (r *Reconciler) prepare(ctx context.Context, rel *helmv1beta1.Release, t *tenant, j *job) error {
	if err := checkFields(rel, t); err != nil {
		return err
	}
	src, err := locate(j.spec.Chart, r.options.Mirrors, r.options.AllowedRepositories)
	if err != nil {
		return err
	}
	cred, err := t.credentials(ctx, j.spec)
	if err != nil {
		return err
	}
	var installed string
	if src.Version == "" {
		if releases, err := history(j.cfg, j.name); err == nil && len(releases) > 0 {
			installed = toRevision(releases[len(releases)-1]).ChartVersion
		}
	}
	if j.chart, err = r.charts.Fetch(ctx, src, cred, installed); err != nil {
		return err
	}
	j.values, err = mergeValues(j.spec.ValuesSpec, func(from helmv1beta1.ValueFromSource) (string, bool, error) {
		data, found, err := t.read(ctx, from)
		if from.SecretKeyRef != nil {
			j.secrets.read(data)
		}
		return data, found, err
	})
	if err != nil {
		return err
	}
	j.want.Inputs, err = inputsDigest(j.chart.Digest, j.values)
	return err
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

// announce tells of changed conditions as events.
func (r *Reconciler) announce(before, rel *helmv1beta1.Release) {
	for _, typ := range []string{platformv1alpha1.ConditionSynced, platformv1alpha1.ConditionReady} {
		was, is := status.Get(before.Status.Conditions, typ), status.Get(rel.Status.Conditions, typ)
		if is == nil || (was != nil && was.Status == is.Status && was.Reason == is.Reason) {
			continue
		}
		kind := corev1.EventTypeNormal
		if is.Reason == platformv1alpha1.ReasonReconcileError || is.Reason == platformv1alpha1.ReasonUnavailable {
			kind = corev1.EventTypeWarning
		}
		r.recorder.Eventf(rel, nil, kind, is.Reason, typ, "%s is %s: %s", typ, is.Status, clip(is.Message, 800))
	}
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
