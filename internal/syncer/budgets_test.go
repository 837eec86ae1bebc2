// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// budgetFollows plays the virtual cluster's disruption controller, which turns percentages into Pods.
func budgetFollows(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "budgets")
	w.open(t, ns)
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromString("25%")), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		},
	}
	create(t, w.virtual.Client, budget)
	count := func(desired int32) {
		setStatus(t, w.virtual.Client, budget, func() {
			budget.Status.ObservedGeneration, budget.Status.ExpectedPods, budget.Status.DesiredHealthy = budget.Generation, 4, desired
		})
	}
	needs := func(pods int) func(*policyv1.PodDisruptionBudget) error {
		return func(b *policyv1.PodDisruptionBudget) error {
			return want(b.Spec.MaxUnavailable == nil && b.Spec.MinAvailable.IntValue() == pods && b.Spec.Selector.MatchLabels["app"] == "web",
				"the host keeps %v, want %d", b.Spec.MinAvailable, pods)
		}
	}
	count(3)
	await(t, w.host.Client, hostNS, "web", needs(3))
	update(t, w.virtual.Client, budget, func() { budget.Spec.MaxUnavailable = ptr.To(intstr.FromInt32(2)) })
	count(2)
	await(t, w.host.Client, hostNS, "web", needs(2))
	if err := w.virtual.Client.Delete(t.Context(), budget); err != nil {
		t.Fatal(err)
	}
	gone(t, w.host.Client, &policyv1.PodDisruptionBudget{}, hostNS, "web")
}
