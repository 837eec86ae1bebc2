// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1beta1 "github.com/skerry-platform/skerry/api/helm.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// clusterRefuser says on cluster-scoped Releases of the host that nobody serves them. (Those
// inside a virtual cluster come to the host as namespaced ones.)
type clusterRefuser struct {
	client.Client
}

// Reconcile writes the conditions.
func (r *clusterRefuser) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	const why = "in this version cluster-scoped Releases are served inside virtual clusters only, not on the host: " +
		"create the Release inside a virtual cluster"
	var rel clusterv1beta1.Release
	if err := r.Get(ctx, req.NamespacedName, &rel); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if rel.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	before := rel.DeepCopy()
	rel.Status.Synced, rel.Status.ObservedGeneration = false, rel.Generation
	status.Set(&rel.Status.Conditions, rel.Generation, platformv1alpha1.ConditionSynced,
		metav1.ConditionFalse, platformv1alpha1.ReasonReconcileError, why)
	status.Set(&rel.Status.Conditions, rel.Generation, platformv1alpha1.ConditionReady,
		metav1.ConditionFalse, platformv1alpha1.ReasonUnavailable, why)
	return ctrl.Result{}, status.Patch(ctx, r.Client, &rel, before)
}
