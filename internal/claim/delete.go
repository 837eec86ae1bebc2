// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/status"
)

// waitingError is what a deletion still waits for.
type waitingError struct {
	message string
	// again is after how long to look again when no watch will say so; 0 for never.
	again time.Duration
}

func (e *waitingError) Error() string { return e.message }

// remove walks the plan backwards. Each step returns a *waitingError until its objects are
// really gone; a watch on them brings us back.
func (r *applicationReconciler) remove(ctx context.Context, claim *v1alpha1.ApplicationClaim) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(claim, v1alpha1.FinalizerCleanup) {
		return ctrl.Result{}, nil
	}
	for _, step := range []func(context.Context, *v1alpha1.ApplicationClaim) error{
		r.removeDelivery, r.removeProject, r.removeEnvironment, r.removeRepositories,
	} {
		if err := step(ctx, claim); err != nil {
			return deleting(&claim.Status.Conditions, claim.Generation, err)
		}
	}
	return ctrl.Result{}, removeFinalizer(ctx, r.client, claim)
}

// deleting writes what a deletion waits for, or why it does not succeed.
func deleting(conds *[]metav1.Condition, generation int64, err error) (ctrl.Result, error) {
	status.Set(conds, generation, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, err.Error())
	var w *waitingError
	if errors.As(err, &w) {
		synced(conds, generation, nil)
		return ctrl.Result{RequeueAfter: w.again}, nil
	}
	synced(conds, generation, err)
	return ctrl.Result{}, err
}

func removeFinalizer(ctx context.Context, c client.Client, obj client.Object) error {
	before, ok := obj.DeepCopyObject().(client.Object)
	if !ok || !controllerutil.RemoveFinalizer(obj, v1alpha1.FinalizerCleanup) {
		return nil
	}
	err := c.Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("letting %s go: %w", client.ObjectKeyFromObject(obj), err)
	}
	obj.SetResourceVersion("") // nothing is left to write a status to
	return nil
}

// removeDelivery waits for the GitOps engine to take the application out of the virtual
// cluster. When the virtual cluster goes as well, that wait is bounded: one that no longer answers
// must not keep its own deletion from happening.
func (r *applicationReconciler) removeDelivery(ctx context.Context, claim *v1alpha1.ApplicationClaim) error {
	var list argov1alpha1.ApplicationList
	left, err := r.removeAll(ctx, &list, claim, client.InNamespace(r.opts.ArgoNamespace))
	if err != nil || left == 0 {
		return err
	}
	app := &list.Items[0]
	message := fmt.Sprintf("waiting for Application %s/%s to take the application out of virtual cluster %s",
		app.Namespace, app.Name, request.Target(claim.Spec))
	if why := deletionMessage(app); why != "" {
		message += ": " + why
	}
	owns, err := r.ownsEnvironment(ctx, claim)
	if err != nil {
		return err
	}
	if !owns {
		return &waitingError{message: message}
	}
	remaining := time.Until(claim.DeletionTimestamp.Add(r.opts.DeletionPatience))
	if remaining > 0 {
		return &waitingError{again: remaining, message: fmt.Sprintf(
			"%s; if that is not done by %s, the virtual cluster is deleted with what is left in it",
			message, claim.DeletionTimestamp.Add(r.opts.DeletionPatience).UTC().Format("15:04:05 UTC"))}
	}
	const gaveUp = "giving up on an orderly removal; the virtual cluster is deleted with what is left in it"
	log.FromContext(ctx).Info(gaveUp, "application", client.ObjectKeyFromObject(app))
	r.events.tell(claim, happening{typ: corev1.EventTypeWarning, reason: reasonRemoving, note: gaveUp, related: app})
	before := app.DeepCopy()
	controllerutil.RemoveFinalizer(app, argov1alpha1.ResourcesFinalizer)
	if err := r.client.Patch(ctx, app, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("letting Application %s/%s go: %w", app.Namespace, app.Name, err)
	}
	return nil
}

// deletionMessage is what the GitOps engine says about the deletion.
func deletionMessage(app *argov1alpha1.Application) string {
	for _, typ := range []string{argov1alpha1.ConditionDeletionError, argov1alpha1.ConditionDeletionProgress} {
		for _, c := range app.Status.Conditions {
			if c.Type == typ {
				return c.Message
			}
		}
	}
	return ""
}

func (r *applicationReconciler) removeProject(ctx context.Context, claim *v1alpha1.ApplicationClaim) error {
	var list argov1alpha1.AppProjectList
	left, err := r.removeAll(ctx, &list, claim, client.InNamespace(r.opts.ArgoNamespace))
	if err != nil || left == 0 {
		return err
	}
	return &waitingError{message: fmt.Sprintf("waiting for AppProject %s/%s to be gone", list.Items[0].Namespace, list.Items[0].Name)}
}

// removeEnvironment deletes the environment that was made for the claim, unless others run
// in it.
func (r *applicationReconciler) removeEnvironment(ctx context.Context, claim *v1alpha1.ApplicationClaim) error {
	owns, err := r.ownsEnvironment(ctx, claim)
	if err != nil || !owns {
		return err
	}
	var guests v1alpha1.ApplicationClaimList
	target := request.Target(claim.Spec)
	if err := r.client.List(ctx, &guests, client.InNamespace(claim.Namespace), client.MatchingFields{indexTarget: target}); err != nil {
		return fmt.Errorf("looking for other applications in %s: %w", target, err)
	}
	for _, guest := range guests.Items {
		if guest.UID != claim.UID && guest.DeletionTimestamp.IsZero() && controllerutil.ContainsFinalizer(&guest, v1alpha1.FinalizerCleanup) {
			return &waitingError{message: fmt.Sprintf("ApplicationClaim %s/%s still runs in environment %s; delete it first",
				guest.Namespace, guest.Name, target)}
		}
	}
	var list v1alpha1.VClusterEnvironmentClaimList
	left, err := r.removeAll(ctx, &list, claim, client.InNamespace(claim.Namespace))
	if err != nil || left == 0 {
		return err
	}
	env := &list.Items[0]
	message := fmt.Sprintf("waiting for VClusterEnvironmentClaim %s/%s to be gone", env.Namespace, env.Name)
	if c := status.Get(env.Status.Conditions, v1alpha1.ConditionReady); c != nil && c.Reason == v1alpha1.ReasonDeleting {
		message = c.Message
	}
	if p := deepest(env.Status.Conditions); p.failed {
		message += ": " + p.message
	}
	return &waitingError{message: message}
}

func (r *applicationReconciler) ownsEnvironment(ctx context.Context, claim *v1alpha1.ApplicationClaim) (bool, error) {
	var list v1alpha1.VClusterEnvironmentClaimList
	err := r.live.List(ctx, &list, client.InNamespace(claim.Namespace), client.MatchingLabels{v1alpha1.LabelClaim: label(claim)})
	if err != nil {
		return false, fmt.Errorf("looking for the environment of %s: %w", claim.Spec.Name, err)
	}
	return len(list.Items) > 0, nil
}

func (r *applicationReconciler) removeRepositories(ctx context.Context, claim *v1alpha1.ApplicationClaim) error {
	if err := r.bequeath(ctx, claim); err != nil {
		return err
	}
	var list v1alpha1.RepositoryList
	left, err := r.removeAll(ctx, &list, claim, client.InNamespace(claim.Namespace))
	if err != nil || left == 0 {
		return err
	}
	repo := &list.Items[0]
	message := fmt.Sprintf("waiting for Repository %s/%s to be gone", repo.Namespace, repo.Name)
	if p := deepest(repo.Status.Conditions); p.failed {
		message += ": " + p.message
	}
	return &waitingError{message: message}
}

// bequeath gives the claim's last deletionPolicy to its repositories: the claim may have been deleted before its
// change came to them, and what is deleted for want of that is gone.
func (r *applicationReconciler) bequeath(ctx context.Context, claim *v1alpha1.ApplicationClaim) error {
	var list v1alpha1.RepositoryList
	err := r.live.List(ctx, &list, client.InNamespace(claim.Namespace), client.MatchingLabels{v1alpha1.LabelClaim: label(claim)})
	if err != nil {
		return fmt.Errorf("listing the repositories of %s: %w", claim.Spec.Name, err)
	}
	for i := range list.Items {
		repo := &list.Items[i]
		if repo.Spec.DeletionPolicy == claim.Spec.DeletionPolicy || !repo.DeletionTimestamp.IsZero() {
			continue
		}
		before := repo.DeepCopy()
		repo.Spec.DeletionPolicy = claim.Spec.DeletionPolicy
		if err := r.client.Patch(ctx, repo, client.MergeFrom(before), client.FieldOwner(fieldOwner)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("handing on the deletion policy to Repository %s/%s: %w", repo.Namespace, repo.Name, err)
		}
	}
	return nil
}

// remover deletes the children of a claim.
type remover struct {
	// client reads from the cache; live reads from the API server, for decisions that may
	// not be made on what was.
	client client.Client
	live   client.Reader
	events teller
}

// removeAll asks for the deletion of every child of the list's kind and returns how many are
// still there. It reads from the API server: a child that the cache has not seen yet would be left behind.
func (r remover) removeAll(ctx context.Context, list client.ObjectList, claim client.Object, scope ...client.ListOption) (int, error) {
	opts := append([]client.ListOption{client.MatchingLabels{v1alpha1.LabelClaim: label(claim)}}, scope...)
	if err := r.live.List(ctx, list, opts...); err != nil {
		if meta.IsNoMatchError(err) {
			return 0, nil
		}
		return 0, fmt.Errorf("listing what is left of %s: %w", client.ObjectKeyFromObject(claim), err)
	}
	asked := 0
	err := eachItem(list, func(o client.Object) error {
		if !o.GetDeletionTimestamp().IsZero() {
			return nil
		}
		asked++
		uid := o.GetUID()
		if err := r.client.Delete(ctx, o, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %s: %w", client.ObjectKeyFromObject(o), err)
		}
		gvk, err := r.client.GroupVersionKindFor(o)
		if err != nil {
			return fmt.Errorf("finding the kind of %T: %w", o, err)
		}
		what := fmt.Sprintf("removing %s %s", gvk.Kind, strings.TrimPrefix(client.ObjectKeyFromObject(o).String(), "/"))
		r.events.tell(claim, happening{typ: corev1.EventTypeNormal, reason: reasonRemoving, note: what, related: o})
		return nil
	})
	if err != nil || asked == 0 {
		return meta.LenList(list), err
	}
	if err := r.live.List(ctx, list, opts...); err != nil {
		return 0, fmt.Errorf("listing what is left of %s: %w", client.ObjectKeyFromObject(claim), err)
	}
	return meta.LenList(list), nil
}
