// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// mostNote is the longest note that the API accepts for an Event.
const mostNote = 1024

// Announce records an Event for each condition of the given types whose status or reason is another
// one than before. A condition that turned True is a Normal Event with the type as
// its reason; a stage on its way (Creating, Waiting, Deleting) is Normal too; everything else is a
// Warning with the condition's reason. Call it once the status is written.
func Announce(recorder events.EventRecorder, obj client.Object, before, after []metav1.Condition, types ...string) {
	for _, typ := range types {
		is, was := Get(after, typ), Get(before, typ)
		if is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason {
			continue
		}
		kind, reason := corev1.EventTypeWarning, is.Reason
		switch {
		case is.Status == metav1.ConditionTrue:
			kind, reason = corev1.EventTypeNormal, typ
		case is.Reason == v1alpha1.ReasonCreating, is.Reason == v1alpha1.ReasonWaiting, is.Reason == v1alpha1.ReasonDeleting:
			kind = corev1.EventTypeNormal
		}
		note := typ + ": " + cmp.Or(is.Message, is.Reason)
		recorder.Eventf(obj, nil, kind, reason, "Reconcile", "%s", strings.ToValidUTF8(note[:min(len(note), mostNote)], ""))
	}
}
