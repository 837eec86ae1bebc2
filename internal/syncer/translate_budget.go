// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// counted says whether the virtual cluster has computed what a budget's present specification means in Pods.
func counted(budget *policyv1.PodDisruptionBudget) bool {
	return budget.Status.ObservedGeneration >= budget.Generation && budget.Status.ExpectedPods > 0
}

// hostBudget is the PodDisruptionBudget to create on the host.
func (t translator) hostBudget(virtual *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudget {
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: t.hostMeta(virtual)}
	t.mergeBudget(budget, virtual)
	return budget
}

// mergeBudget brings a host budget to what the virtual one means. A percentage is one of what a controller
// wants, and the controllers are in the virtual cluster: the host gets the number of Pods that came out there.
func (t translator) mergeBudget(host, virtual *policyv1.PodDisruptionBudget) {
	mergeMeta(host, t.hostLabels(virtual), hostAnnotations(virtual))
	host.Spec = *virtual.Spec.DeepCopy()
	host.Spec.MaxUnavailable = nil
	host.Spec.MinAvailable = ptr.To(intstr.FromInt32(virtual.Status.DesiredHealthy))
}
