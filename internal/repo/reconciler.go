// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"k8s.io/utils/ptr"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/requeue"
	"github.com/skerry-platform/skerry/internal/status"
)

// Reasons of this stage's conditions beside Crossplane's.
const (
	reasonNotOurs       = "NotOurs"
	reasonMergeConflict = "MergeConflict"
	reasonInvalidSpec   = "InvalidSpec"
)

// resync is how often a repository that is well is looked at again: its head may have
// moved, its Secret may be gone.
const resync = 10 * time.Minute

// ensureLimit is how long a Git host may take for one repository, clone and push included, before others
// have their turn.
const ensureLimit = time.Minute

// errSpec: the object asks for something that cannot be; only an edit helps.
var errSpec = errors.New("the Repository's spec cannot be served")

type reconciler struct {
	own    client.Client // of Repositories: status.Own
	client client.Client // of the Secrets that belong to them
	opts   Options
}

func (r *reconciler) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("repository").
		For(&platformv1alpha1.Repository{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WithOptions(controller.Options{SkipNameValidation: ptr.To(true), MaxConcurrentReconciles: 4, RateLimiter: requeue.Limiter()}).
		Complete(r)
}

// Reconcile brings one repository to what its object says.
func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &platformv1alpha1.Repository{}
	if err := r.own.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if obj.Annotations[platformv1alpha1.AnnotationPaused] == "true" {
		before := obj.DeepCopy()
		set(obj, platformv1alpha1.ConditionSynced, metav1.ConditionFalse, platformv1alpha1.ReasonReconcilePaused,
			"Paused by the annotation "+platformv1alpha1.AnnotationPaused)
		return ctrl.Result{}, status.Patch(ctx, r.own, obj, before)
	}
	if !obj.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.delete(ctx, obj)
	}
	if controllerutil.AddFinalizer(obj, platformv1alpha1.FinalizerCleanup) {
		if err := r.own.Update(ctx, obj); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	before := obj.DeepCopy()
	limited, cancel := context.WithTimeout(ctx, ensureLimit)
	defer cancel()
	err := r.ensure(limited, obj)
	explain(obj, err)
	if patchErr := status.Patch(ctx, r.own, obj, before); patchErr != nil {
		return ctrl.Result{}, errors.Join(err, patchErr)
	}
	switch {
	case errors.Is(err, ErrForeign), errors.Is(err, errSpec):
		log.FromContext(ctx).Info("the repository cannot be served", "reason", err.Error())
		return ctrl.Result{RequeueAfter: resync}, nil
	case err != nil:
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: resync}, nil
}

// ensure makes the repository, fills it, and registers it with the GitOps engine.
func (r *reconciler) ensure(ctx context.Context, obj *platformv1alpha1.Repository) error {
	provider, err := r.provider(obj)
	if err != nil {
		return err
	}
	for file := range obj.Spec.Files {
		if err := validPath(file); err != nil {
			return fmt.Errorf("%w: %w", errSpec, err)
		}
	}
	remote, err := provider.Ensure(ctx, request(obj))
	if err != nil {
		return err
	}
	obj.Status.URL, obj.Status.CloneURL, obj.Status.Branch = remote.URL, remote.CloneURL, remote.Branch
	if obj.Spec.Role == platformv1alpha1.RepositoryGitOps {
		if err := r.applyArgoSecret(ctx, obj, remote); err != nil {
			return err
		}
	}
	return r.fill(ctx, obj, remote)
}

// fill commits the platform's files, and sets the revision and the condition Synced. It fetches as
// little as it can: nothing when the branch is where it was and the files are the same.
func (r *reconciler) fill(ctx context.Context, obj *platformv1alpha1.Repository, remote Remote) error {
	w, err := openWorktree(ctx, remote)
	if err != nil {
		return err
	}
	defer w.close()
	if isFilled(obj, w.head.String()) {
		return nil
	}
	written, current, err := r.read(ctx, w, obj)
	if err != nil {
		return err
	}
	p := decide(obj.Spec.Files, written, current)
	if w.head.IsZero() && obj.Spec.Template != "" {
		if err := r.addTemplate(obj, &p); err != nil {
			return err
		}
	}
	head := w.head
	if !p.empty() || !maps.Equal(p.written, written) {
		if head, err = w.push(ctx, p, p.message()); err != nil {
			return err
		}
		log.FromContext(ctx).Info("wrote to the repository", "repository", remote.CloneURL, "revision", head.String(),
			"files", len(p.write), "removed", len(p.remove))
	}
	obj.Status.Revision = ""
	if !head.IsZero() {
		obj.Status.Revision = head.String()
	}
	obj.Status.Written = hashes(p.written)
	synced(obj, p)
	return nil
}

// isFilled reports whether this spec was brought to that head already.
func isFilled(obj *platformv1alpha1.Repository, head string) bool {
	c := status.Get(obj.Status.Conditions, platformv1alpha1.ConditionSynced)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == obj.Generation && obj.Status.Revision == head
}

// read brings the files that the decision is about: those that the platform wrote last, and what is in
// the branch now at their paths and at those that it wants to write.
func (r *reconciler) read(ctx context.Context, w *worktree, obj *platformv1alpha1.Repository) (written, current map[string]string, err error) {
	if err := w.fetchWritten(ctx); err != nil {
		return nil, nil, err
	}
	if written, err = w.writtenFiles(); err != nil {
		return nil, nil, err
	}
	if len(written) == 0 && len(obj.Spec.Files) == 0 {
		return written, nil, nil
	}
	if err := w.fetchBranch(ctx); err != nil {
		return nil, nil, err
	}
	paths := slices.Concat(slices.Collect(maps.Keys(written)), slices.Collect(maps.Keys(obj.Spec.Files)))
	current, err = w.currentFiles(paths...)
	return written, current, err
}

func (r *reconciler) addTemplate(obj *platformv1alpha1.Repository, p *plan) error {
	if r.opts.Template == nil {
		return fmt.Errorf("%w: spec.template: this installation has no source templates", errSpec)
	}
	files, err := r.opts.Template(obj.Spec.Template, obj.Spec.Name)
	if err != nil {
		return fmt.Errorf("%w: spec.template %q: %w", errSpec, obj.Spec.Template, err)
	}
	addTemplate(p, files)
	return nil
}

// delete removes what was made, then lets the object go.
func (r *reconciler) delete(ctx context.Context, obj *platformv1alpha1.Repository) error {
	if !controllerutil.ContainsFinalizer(obj, platformv1alpha1.FinalizerCleanup) {
		return nil
	}
	if err := r.cleanUp(ctx, obj); err != nil {
		before := obj.DeepCopy()
		set(obj, platformv1alpha1.ConditionReady, metav1.ConditionFalse, platformv1alpha1.ReasonDeleting, "Waiting: "+err.Error())
		return errors.Join(err, status.Patch(ctx, r.own, obj, before))
	}
	controllerutil.RemoveFinalizer(obj, platformv1alpha1.FinalizerCleanup)
	if err := r.own.Update(ctx, obj); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("removing the finalizer: %w", err))
	}
	return nil
}

// cleanUp deletes the registration, and the repository itself when the object says so. A
// repository that is not ours is none of our business, then too.
func (r *reconciler) cleanUp(ctx context.Context, obj *platformv1alpha1.Repository) error {
	if err := r.deleteArgoSecret(ctx, obj); err != nil {
		return err
	}
	if obj.Spec.DeletionPolicy != platformv1alpha1.DeletionDelete {
		return nil
	}
	provider, err := r.provider(obj)
	if err != nil {
		return err
	}
	if err := provider.Delete(ctx, request(obj)); err != nil && !errors.Is(err, ErrForeign) {
		return err
	}
	return nil
}

func (r *reconciler) provider(obj *platformv1alpha1.Repository) (Provider, error) {
	if p, ok := r.opts.Providers[obj.Spec.Provider]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("%w: spec.provider: %q is not set up in this installation", errSpec, obj.Spec.Provider)
}

func request(obj *platformv1alpha1.Repository) Request {
	return Request{
		Owner: obj.Spec.Owner, Name: obj.Spec.Name, Visibility: obj.Spec.Visibility,
		ManagedBy: obj.Namespace + "/" + obj.Name,
	}
}

// explain sets Ready, and Synced where fill did not come to it.
func explain(obj *platformv1alpha1.Repository, err error) {
	if err == nil {
		set(obj, platformv1alpha1.ConditionReady, metav1.ConditionTrue, platformv1alpha1.ReasonAvailable, "")
		return
	}
	reason := platformv1alpha1.ReasonUnavailable
	switch {
	case errors.Is(err, ErrForeign):
		reason = reasonNotOurs
	case errors.Is(err, errSpec):
		reason = reasonInvalidSpec
	case errors.Is(err, errOutrun):
		reason = platformv1alpha1.ReasonCreating
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		err = fmt.Errorf("the provider refused the platform's credentials: %w", err)
	}
	set(obj, platformv1alpha1.ConditionReady, metav1.ConditionFalse, reason, err.Error())
	set(obj, platformv1alpha1.ConditionSynced, metav1.ConditionFalse, platformv1alpha1.ReasonReconcileError, err.Error())
}

// synced says whether the platform's files are in the repository, and which are a person's.
func synced(obj *platformv1alpha1.Repository, p plan) {
	if len(p.conflicts) > 0 {
		set(obj, platformv1alpha1.ConditionSynced, metav1.ConditionFalse, reasonMergeConflict, fmt.Sprintf(
			"The platform and a person changed the same lines of %s; the person's version stays. Put the platform's version (spec.files) into the repository by hand, or take the person's edit back",
			strings.Join(p.conflicts, ", ")))
		return
	}
	message := ""
	if len(p.left) > 0 {
		message = "Left to the people who changed them: " + strings.Join(p.left, ", ")
	}
	set(obj, platformv1alpha1.ConditionSynced, metav1.ConditionTrue, platformv1alpha1.ReasonReconcileSuccess, message)
}

func set(obj *platformv1alpha1.Repository, typ string, s metav1.ConditionStatus, reason, message string) {
	status.Set(&obj.Status.Conditions, obj.Generation, typ, s, reason, message)
}
