// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestConditionsChangeOnce(t *testing.T) {
	var conds []metav1.Condition
	set := func(s metav1.ConditionStatus, message string) bool {
		return status.Set(&conds, 1, v1alpha1.ConditionReady, s, "Reason", message)
	}
	if !set(metav1.ConditionFalse, "a") || set(metav1.ConditionFalse, "a") || !set(metav1.ConditionFalse, "b") {
		t.Error("Set does not report exactly the changes")
	}
	before := status.Get(conds, v1alpha1.ConditionReady).LastTransitionTime
	set(metav1.ConditionFalse, "c")
	if got := status.Get(conds, v1alpha1.ConditionReady).LastTransitionTime; !got.Equal(&before) {
		t.Error("the transition time moved without a transition")
	}
	set(metav1.ConditionTrue, strings.Repeat("long ", 10000))
	if c := status.Get(conds, v1alpha1.ConditionReady); len(c.Message) > 32768 || !status.IsTrue(conds, v1alpha1.ConditionReady) {
		t.Errorf("condition with a message of %d characters, status %s", len(c.Message), c.Status)
	}
}

// Two writers of one status do not overwrite each other: the second one's write is refused.
func TestASecondWriterGetsAConflict(t *testing.T) {
	env := testenv.Start(t, testenv.WithScheme(v1alpha1.AddToScheme))
	vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "two-writers"}, Spec: v1alpha1.VirtualClusterSpec{Placement: v1alpha1.PlacementShared}}
	if err := env.Client.Create(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	first, second := vc.DeepCopy(), vc.DeepCopy()
	write := func(o *v1alpha1.VirtualCluster, typ string) error {
		before := o.DeepCopy()
		status.Set(&o.Status.Conditions, 1, typ, metav1.ConditionTrue, "Reason", "")
		return status.Patch(t.Context(), env.Client, o, before)
	}
	if err := write(first, v1alpha1.ConditionPrepared); err != nil {
		t.Fatal(err)
	}
	if err := write(second, v1alpha1.ConditionControlPlaneReady); !apierrors.IsConflict(err) {
		t.Errorf("the second writer got %v, want a conflict", err)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(vc), vc); err != nil {
		t.Fatal(err)
	}
	if !status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionPrepared) {
		t.Error("the first writer's condition is gone")
	}
	version := vc.ResourceVersion
	if err := status.Patch(t.Context(), env.Client, vc, vc.DeepCopy()); err != nil || vc.ResourceVersion != version {
		t.Errorf("a patch without a change: error %v, version %s -> %s", err, version, vc.ResourceVersion)
	}
}
