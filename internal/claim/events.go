// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

const (
	// action of every event, as events.k8s.io asks for one.
	action = "Reconcile"
	// reasonStageFailed and reasonRemoving are reasons of events only.
	reasonStageFailed = "StageFailed"
	reasonRemoving    = "Removing"
	// mostNote is the longest note that the API server accepts
	// (k8s.io/kubernetes/pkg/apis/core/validation, NoteLengthLimit).
	mostNote = 1024
)

// happening is one event about a claim.
type happening struct {
	typ, reason, note string
	// related is the other object that it is about; without it, events of one reason count as one.
	related client.Object
}

// happenings is pure: what of a claim's conditions changed -> what `kubectl describe` tells. Only a change of
// a condition's status or reason is one; a message may change with every try. Comparing with what was
// written before makes each event one, also over restarts.
func happenings(before, after []metav1.Condition) []happening {
	var out []happening
	for _, c := range after {
		was := status.Get(before, c.Type)
		if was != nil && was.Status == c.Status && was.Reason == c.Reason {
			continue
		}
		done, isStage := stageNotes()[c.Type]
		switch {
		case isStage && c.Status == metav1.ConditionTrue && c.Message != "":
			out = append(out, happening{typ: corev1.EventTypeWarning, reason: c.Reason, note: c.Message})
		case isStage && c.Status == metav1.ConditionTrue:
			out = append(out, happening{typ: corev1.EventTypeNormal, reason: c.Type, note: done})
		case isStage && c.Reason == reasonFailed:
			out = append(out, happening{typ: corev1.EventTypeWarning, reason: reasonStageFailed, note: c.Type + ": " + c.Message})
		case isStage:
		default:
			out = append(out, summaryHappening(c, slices.ContainsFunc(after, func(c metav1.Condition) bool { return c.Reason == reasonFailed }))...)
		}
	}
	return out
}

// summaryHappening is what Ready and Synced tell that no stage does. An application that changes is Unavailable for
// a while without anything having failed.
func summaryHappening(c metav1.Condition, failed bool) []happening {
	switch c.Reason {
	case v1alpha1.ReasonUnavailable:
		if !failed {
			return []happening{{typ: corev1.EventTypeNormal, reason: c.Reason, note: c.Message}}
		}
		return []happening{{typ: corev1.EventTypeWarning, reason: c.Reason, note: c.Message}}
	case v1alpha1.ReasonAvailable:
		return []happening{{typ: corev1.EventTypeNormal, reason: c.Reason, note: "everything is ready"}}
	case v1alpha1.ReasonDeleting, v1alpha1.ReasonReconcilePaused:
		return []happening{{typ: corev1.EventTypeNormal, reason: c.Reason, note: c.Message}}
	case v1alpha1.ReasonReconcileError:
		return []happening{{typ: corev1.EventTypeWarning, reason: c.Reason, note: c.Message}}
	}
	return nil
}

// stageNotes say what is true when a stage is done.
func stageNotes() map[string]string {
	return map[string]string{
		v1alpha1.ConditionRepositoriesReady: "both repositories are there",
		v1alpha1.ConditionEnvironmentReady:  "the virtual cluster answers",
		v1alpha1.ConditionRegistered:        "the GitOps engine knows the virtual cluster",
		v1alpha1.ConditionDelivered:         "what the GitOps repository holds is applied in the virtual cluster",
		v1alpha1.ConditionComponentsHealthy: "every component is healthy",
	}
}

// teller writes events.
type teller struct{ recorder events.EventRecorder }

func (t teller) tell(about client.Object, all ...happening) {
	for _, h := range all {
		note := strings.ToValidUTF8(h.note[:min(len(h.note), mostNote)], "")
		var related runtime.Object
		if h.related != nil {
			related = h.related
		}
		t.recorder.Eventf(about, related, h.typ, h.reason, action, "%s", note)
	}
}
