// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/status"
)

// applicationReconciler is station 2 of docs/flow.md.
type applicationReconciler struct {
	remover
	writer writer
	opts   Options
	// finished is told of every stage that was done for the first time.
	finished func(v1alpha1.StageTiming)
}

func (r *applicationReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	claim := &v1alpha1.ApplicationClaim{}
	if err := r.client.Get(ctx, req.NamespacedName, claim); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := claim.DeepCopy()
	result, err := r.step(ctx, claim)
	if claim.ResourceVersion == "" {
		return result, err // the finalizer went, and the claim with it
	}
	patchErr := status.Patch(ctx, r.client, claim, before)
	if apierrors.IsConflict(patchErr) || apierrors.IsNotFound(patchErr) {
		// A newer claim is on its way to the cache and brings us back.
		patchErr = nil
	} else if patchErr == nil {
		r.report(ctx, before, claim)
		r.events.tell(claim, happenings(before.Status.Conditions, claim.Status.Conditions)...)
	}
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: retryConflict}, patchErr
	}
	if refused(err) {
		return result, patchErr
	}
	return result, errors.Join(err, patchErr)
}

// step does what is to be done now and leaves the status in claim.
func (r *applicationReconciler) step(ctx context.Context, claim *v1alpha1.ApplicationClaim) (ctrl.Result, error) {
	switch {
	case claim.Annotations[v1alpha1.AnnotationPaused] == "true":
		paused(&claim.Status.Conditions, claim.Generation)
		return ctrl.Result{}, nil
	case !claim.DeletionTimestamp.IsZero():
		return r.remove(ctx, claim)
	}
	o, err := r.ensure(ctx, claim)
	synced(&claim.Status.Conditions, claim.Generation, err)
	stages := applicationStages(claim, o)
	if err != nil {
		stages = append([]stage{failed(v1alpha1.ConditionSynced, "%s", err)}, stages...)
		if refused(err) {
			stages = stages[:1] // nothing of it is ours to report on
		}
	}
	r.tell(claim, o, stages)
	if refused(err) {
		status.Set(&claim.Status.Conditions, claim.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWaiting, err.Error())
	}
	return ctrl.Result{}, err
}

// tell writes the status from what there is.
func (r *applicationReconciler) tell(claim *v1alpha1.ApplicationClaim, o observed, stages []stage) {
	conds := &claim.Status.Conditions
	was := wasReady(*conds)
	if stages[0].typ == v1alpha1.ConditionSynced && len(stages) == 1 {
		claim.Status.Ready = summarize(conds, claim.Generation, stages, was)
		return
	}
	fillApplication(claim, o, r.opts)
	claim.Status.Ready = summarize(conds, claim.Generation, stages, was)
	recordStages(&claim.Status.Stages, *conds, askedAt(claim), time.Now())
}

// ensure makes everything of the plan that can be made now.
func (r *applicationReconciler) ensure(ctx context.Context, claim *v1alpha1.ApplicationClaim) (observed, error) {
	if err := request.Check(claim.Spec); err != nil {
		return observed{}, err
	}
	if err := r.alone(ctx, claim); err != nil {
		return observed{}, err
	}
	if err := r.apart(ctx, claim); err != nil {
		return observed{}, err
	}
	o, err := r.observe(ctx, claim)
	if err != nil {
		return o, err
	}
	if err := o.taken(claim); err != nil {
		return observed{}, err
	}
	if o.environment != nil && !made(o.environment, claim) {
		if err := request.CheckJoin(claim.Spec, o.environment); err != nil {
			return observed{}, err
		}
	}
	if err := addFinalizer(ctx, r.client, claim); err != nil {
		return o, err
	}
	p, err := planApplication(claim, o.facts(claim), r.opts)
	if err != nil {
		return o, err
	}
	if err := r.writer.write(ctx, p.objects(), o.children(claim)); err != nil {
		return o, fmt.Errorf("making the parts of %s: %w", claim.Spec.Name, err)
	}
	return o, nil
}

// alone returns an error when another claim has the name: the one that already works with
// it, else the oldest.
func (r *applicationReconciler) alone(ctx context.Context, claim *v1alpha1.ApplicationClaim) error {
	var list v1alpha1.ApplicationClaimList
	if err := r.client.List(ctx, &list, client.MatchingFields{indexName: claim.Spec.Name}); err != nil {
		return fmt.Errorf("looking for other claims of %s: %w", claim.Spec.Name, err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID != claim.UID && precedes(other, claim) {
			return taken("spec.name: %q is taken by ApplicationClaim %s/%s; choose another name, or delete that one",
				claim.Spec.Name, other.Namespace, other.Name)
		}
	}
	return nil
}

// apart returns an error when another application in the same environment has a component of the same name: both
// would write the same objects. The one that runs it already keeps it, else the one that was there before.
func (r *applicationReconciler) apart(ctx context.Context, claim *v1alpha1.ApplicationClaim) error {
	var list v1alpha1.ApplicationClaimList
	target := request.Target(claim.Spec)
	if err := r.client.List(ctx, &list, client.InNamespace(claim.Namespace), client.MatchingFields{indexTarget: target}); err != nil {
		return fmt.Errorf("looking for other applications in %s: %w", target, err)
	}
	own := request.Components(claim.Spec)
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == claim.UID {
			continue
		}
		for _, component := range request.Components(other.Spec) {
			theirs, ours := runs(other, component), runs(claim, component)
			first := theirs
			if theirs == ours {
				first = precedes(other, claim)
			}
			if first && slices.Contains(own, component) {
				return taken("environment %s: ApplicationClaim %s/%s has a component %q already; choose another name, or another environment",
					target, other.Namespace, other.Name, component)
			}
		}
	}
	return nil
}

// runs reports whether the component was part of what was last made for the claim.
func runs(claim *v1alpha1.ApplicationClaim, component string) bool {
	return claim.Status.Environment != "" && (component == claim.Spec.Name ||
		slices.ContainsFunc(claim.Status.Infrastructure, func(i v1alpha1.InfrastructureSummary) bool { return i.Name == component }))
}

// addFinalizer writes the finalizer unless it is there.
func addFinalizer(ctx context.Context, c client.Client, obj client.Object) error {
	before, ok := obj.DeepCopyObject().(client.Object)
	if !ok || !controllerutil.AddFinalizer(obj, v1alpha1.FinalizerCleanup) {
		return nil
	}
	if err := c.Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("holding %s until its parts are gone: %w", client.ObjectKeyFromObject(obj), err)
	}
	return nil
}

// report logs and measures the stages that this reconcile finished.
func (r *applicationReconciler) report(ctx context.Context, before, claim *v1alpha1.ApplicationClaim) {
	for _, t := range claim.Status.Stages[min(len(before.Status.Stages), len(claim.Status.Stages)):] {
		r.finished(t)
		log.FromContext(ctx).Info("stage done", "stage", t.Name, "seconds", t.FinishedAt.Sub(t.StartedAt.Time).Seconds())
	}
}
