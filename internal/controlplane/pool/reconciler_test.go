// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

func TestDecide(t *testing.T) {
	type object = platformv1alpha1.VirtualCluster
	prepared := func(vc *object) {
		status.Set(&vc.Status.Conditions, 1, platformv1alpha1.ConditionPrepared, metav1.ConditionTrue, "Test", "")
	}
	held := func(vc *object) { vc.Finalizers = []string{platformv1alpha1.FinalizerControlPlane} }
	deleting := func(vc *object) { vc.DeletionTimestamp = &metav1.Time{} }
	paused := func(vc *object) { vc.Annotations = map[string]string{platformv1alpha1.AnnotationPaused: "true"} }
	dedicated := func(vc *object) { vc.Spec.Placement = platformv1alpha1.PlacementDedicated }

	now := metav1.Now()
	for name, c := range map[string]struct {
		is     []func(*object)
		want   decision
		reason string
	}{
		"new":                {nil, leave, "the operator has not prepared it"},
		"prepared":           {[]func(*object){prepared}, serve, "Prepared is the word to serve"},
		"serving":            {[]func(*object){prepared, held}, serve, "goes on"},
		"draining":           {[]func(*object){prepared, held, deleting}, serve, "its Applications are deleted from inside"},
		"drained":            {[]func(*object){held, deleting}, retire, "the operator says to stop"},
		"stopped":            {[]func(*object){prepared, deleting}, abandon, "nothing waits for it: never start it again"},
		"deleted unprepared": {[]func(*object){deleting}, abandon, "it never ran"},
		"paused":             {[]func(*object){prepared, paused}, leave, "a person looks at it"},
		"dedicated":          {[]func(*object){prepared, dedicated}, leave, "has a StatefulSet of its own"},
	} {
		vc := &object{}
		for _, f := range c.is {
			f(vc)
		}
		if vc.DeletionTimestamp != nil {
			vc.DeletionTimestamp = &now
		}
		if got := decide(vc); got != c.want {
			t.Errorf("%s: decided %d, want %d: %s", name, got, c.want, c.reason)
		}
	}
}
