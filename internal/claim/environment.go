// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/status"
)

// environmentReconciler is station 3 of docs/flow.md.
type environmentReconciler struct {
	remover
	writer writer
	opts   Options
}

func (r *environmentReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	claim := &v1alpha1.VClusterEnvironmentClaim{}
	if err := r.client.Get(ctx, req.NamespacedName, claim); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := claim.DeepCopy()
	result, err := r.step(ctx, claim)
	if claim.ResourceVersion == "" {
		return result, err
	}
	patchErr := status.Patch(ctx, r.client, claim, before)
	if apierrors.IsConflict(patchErr) || apierrors.IsNotFound(patchErr) {
		patchErr = nil
	} else if patchErr == nil {
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

func (r *environmentReconciler) step(ctx context.Context, claim *v1alpha1.VClusterEnvironmentClaim) (ctrl.Result, error) {
	conds := &claim.Status.Conditions
	switch {
	case claim.Annotations[v1alpha1.AnnotationPaused] == "true":
		paused(conds, claim.Generation)
		return ctrl.Result{}, nil
	case !claim.DeletionTimestamp.IsZero():
		return r.remove(ctx, claim)
	}
	vc, err := r.ensure(ctx, claim)
	synced(conds, claim.Generation, err)
	stages := environmentStages(claim, vc)
	if err != nil {
		stages = []stage{failed(v1alpha1.ConditionSynced, "%s", err)}
	} else if err := r.fill(ctx, claim, vc); err != nil {
		return ctrl.Result{}, err
	}
	claim.Status.Ready = summarize(conds, claim.Generation, stages, wasReady(*conds))
	if refused(err) {
		status.Set(conds, claim.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWaiting, err.Error())
	}
	return ctrl.Result{}, err
}

// ensure makes the VirtualCluster and returns it as the cache has it, nil when it is new.
func (r *environmentReconciler) ensure(ctx context.Context, claim *v1alpha1.VClusterEnvironmentClaim) (*v1alpha1.VirtualCluster, error) {
	if err := checkEnvironment(claim.Spec, r.opts.KubernetesVersion); err != nil {
		return nil, err
	}
	vc, err := get(ctx, r.client, "", claim.Spec.Name, &v1alpha1.VirtualCluster{})
	if err != nil {
		return nil, err
	}
	if err := r.available(ctx, claim, vc); err != nil {
		return nil, err
	}
	if err := addFinalizer(ctx, r.client, claim); err != nil {
		return nil, err
	}
	var have []client.Object
	if vc != nil {
		have = append(have, vc)
	}
	if err := r.writer.write(ctx, []client.Object{planEnvironment(claim)}, have); err != nil {
		return nil, fmt.Errorf("making VirtualCluster %s: %w", claim.Spec.Name, err)
	}
	return vc, nil
}

// available returns an error when the name is somebody else's.
func (r *environmentReconciler) available(ctx context.Context, claim *v1alpha1.VClusterEnvironmentClaim, vc *v1alpha1.VirtualCluster) error {
	if vc != nil {
		owner := vc.Labels[v1alpha1.LabelClaim]
		switch {
		case owner == label(claim):
			return nil
		case owner == "":
			return taken("spec.name: VirtualCluster %s exists and was not made for a claim; choose another name, or hand it over: label it %s=%s",
				vc.Name, v1alpha1.LabelClaim, label(claim))
		}
		return taken("spec.name: VirtualCluster %s was made for VClusterEnvironmentClaim %s; choose another name",
			vc.Name, strings.Replace(owner, ".", "/", 1))
	}
	var list v1alpha1.VClusterEnvironmentClaimList
	if err := r.client.List(ctx, &list, client.MatchingFields{indexName: claim.Spec.Name}); err != nil {
		return fmt.Errorf("looking for other claims of %s: %w", claim.Spec.Name, err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID != claim.UID && precedes(other, claim) {
			return taken("spec.name: %q is taken by VClusterEnvironmentClaim %s/%s; choose another name",
				claim.Spec.Name, other.Namespace, other.Name)
		}
	}
	return nil
}

// precedes reports whether a has the better claim to a name that b wants too: it works with
// it already, or neither does and it is older. The finalizer tells: it comes before the first object is made.
func precedes(a, b client.Object) bool {
	worksA, worksB := controllerutil.ContainsFinalizer(a, v1alpha1.FinalizerCleanup), controllerutil.ContainsFinalizer(b, v1alpha1.FinalizerCleanup)
	if worksA != worksB {
		return worksA
	}
	order := a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time)
	return cmp.Or(order, strings.Compare(label(a), label(b))) < 0
}

// environmentStages is pure.
func environmentStages(claim *v1alpha1.VClusterEnvironmentClaim, vc *v1alpha1.VirtualCluster) []stage {
	stages := []stage{clusterStage(claim, vc, v1alpha1.ConditionEnvironmentReady, v1alpha1.ConditionPrepared, v1alpha1.ConditionControlPlaneReady)}
	if wantsGitOps(claim) {
		stages = append(stages, clusterStage(claim, vc, v1alpha1.ConditionRegistered, v1alpha1.ConditionRegistered))
	}
	return stages
}

// clusterStage is done when every one of the VirtualCluster's conditions is True.
func clusterStage(claim *v1alpha1.VClusterEnvironmentClaim, vc *v1alpha1.VirtualCluster, typ string, needs ...string) stage {
	if vc == nil {
		return working(typ, "VirtualCluster %s: being made", claim.Spec.Name)
	}
	if !vc.DeletionTimestamp.IsZero() {
		return failed(typ, "VirtualCluster %s is being deleted; it is made anew when it is gone", vc.Name)
	}
	for _, need := range needs {
		c := status.Get(vc.Status.Conditions, need)
		switch {
		case c != nil && c.Status == metav1.ConditionTrue:
			continue
		case c != nil && c.Message != "":
			return working(typ, "VirtualCluster %s: %s: %s", vc.Name, need, c.Message)
		}
		if p := deepest(vc.Status.Conditions); p.failed {
			return failed(typ, "VirtualCluster %s: %s", vc.Name, p.message)
		}
		return working(typ, "VirtualCluster %s: waiting for %s", vc.Name, need)
	}
	return done(typ)
}

// fill writes the part of the status that is not a condition.
func (r *environmentReconciler) fill(ctx context.Context, claim *v1alpha1.VClusterEnvironmentClaim, vc *v1alpha1.VirtualCluster) error {
	if vc == nil {
		return nil
	}
	claim.Status.ClusterEndpoint = vc.Status.ClusterEndpoint
	if ref := vc.Status.KubeconfigSecretRef; ref != nil {
		claim.Status.AdminCredentials = &v1alpha1.AdminCredentials{SecretRef: corev1.SecretReference{Namespace: ref.Namespace, Name: ref.Name}}
	}
	claim.Status.Usage = nil
	if q := vc.Status.Quota; q != nil {
		claim.Status.Usage = &v1alpha1.Usage{Hard: q.Hard, Used: q.Used}
	}
	var list v1alpha1.VirtualNamespaceList
	if err := r.client.List(ctx, &list, client.InNamespace(vc.Name)); err != nil {
		return fmt.Errorf("listing the namespaces of %s: %w", vc.Name, err)
	}
	namespaces := []string{vc.Name}
	for _, n := range list.Items {
		if n.Status.HostNamespace != "" {
			namespaces = append(namespaces, n.Status.HostNamespace)
		}
	}
	slices.Sort(namespaces)
	claim.Status.Namespaces = namespaces
	return nil
}

// remove deletes the VirtualCluster, unless the claim says to leave it, and waits until it is gone.
func (r *environmentReconciler) remove(ctx context.Context, claim *v1alpha1.VClusterEnvironmentClaim) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(claim, v1alpha1.FinalizerCleanup) {
		return ctrl.Result{}, nil
	}
	if err := r.vacant(ctx, claim); err != nil {
		return deleting(&claim.Status.Conditions, claim.Generation, err)
	}
	if claim.Spec.DeletionPolicy != v1alpha1.DeletionOrphan {
		var list v1alpha1.VirtualClusterList
		left, err := r.removeAll(ctx, &list, claim)
		if err == nil && left > 0 {
			vc := &list.Items[0]
			message := fmt.Sprintf("waiting for VirtualCluster %s to be gone", vc.Name)
			if c := status.Get(vc.Status.Conditions, v1alpha1.ConditionReady); c != nil && c.Reason == v1alpha1.ReasonDeleting && c.Message != "" {
				message = fmt.Sprintf("VirtualCluster %s: %s", vc.Name, c.Message)
			}
			err = &waitingError{message: message}
		}
		if err != nil {
			return deleting(&claim.Status.Conditions, claim.Generation, err)
		}
	}
	return ctrl.Result{}, removeFinalizer(ctx, r.client, claim)
}

// vacant returns a *waitingError while applications run in the environment that nobody has deleted: their
// data would go with it.
func (r *environmentReconciler) vacant(ctx context.Context, claim *v1alpha1.VClusterEnvironmentClaim) error {
	var list v1alpha1.ApplicationClaimList
	err := r.live.List(ctx, &list, client.InNamespace(claim.Namespace))
	if err != nil {
		return fmt.Errorf("looking for applications in %s: %w", claim.Spec.Name, err)
	}
	for i := range list.Items {
		guest := &list.Items[i]
		if guest.DeletionTimestamp.IsZero() && request.Target(guest.Spec) == claim.Spec.Name && controllerutil.ContainsFinalizer(guest, v1alpha1.FinalizerCleanup) {
			return &waitingError{message: fmt.Sprintf("ApplicationClaim %s/%s still runs in it; delete it first", guest.Namespace, guest.Name)}
		}
	}
	return nil
}
