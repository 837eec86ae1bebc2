// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

func TestAnnounceTellsChangesOnce(t *testing.T) {
	condition := func(s metav1.ConditionStatus, reason, message string) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: s, Reason: reason, Message: message}}
	}
	creating := condition(metav1.ConditionFalse, v1alpha1.ReasonCreating, "waiting for a pool member")
	for _, c := range []struct {
		why           string
		before, after []metav1.Condition
		want          string
	}{
		{"on its way", nil, creating, "Normal Creating Ready: waiting for a pool member"},
		{"another message", creating, condition(metav1.ConditionFalse, v1alpha1.ReasonCreating, "still waiting"), ""},
		{"done", creating, condition(metav1.ConditionTrue, v1alpha1.ReasonAvailable, ""), "Normal Ready Ready: Available"},
		{"broken", creating, condition(metav1.ConditionFalse, "NamespaceTaken", "choose another name"), "Warning NamespaceTaken Ready: choose another name"},
		{"a long story", nil, condition(metav1.ConditionFalse, "Long", strings.Repeat("x", 2000)), "Warning Long Ready: " + strings.Repeat("x", 1017)},
		{"a long story with other letters", nil, condition(metav1.ConditionFalse, "Long", strings.Repeat("ä", 2000)), "Warning Long Ready: " + strings.Repeat("ä", 508)},
	} {
		recorder := events.NewFakeRecorder(2)
		status.Announce(recorder, &v1alpha1.VirtualCluster{}, c.before, c.after, v1alpha1.ConditionReady, v1alpha1.ConditionPrepared)
		got := ""
		select {
		case got = <-recorder.Events:
		default:
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.why, diff)
		}
	}
}
