// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/status"
)

// event is one line of what `kubectl describe application` tells.
type event struct{ kind, reason, action, note string }

// mostNote is the longest note that the API accepts (events.k8s.io/v1).
const mostNote = 1024

// announce tells what a reconcile has changed, once it is written down. The texts are those
// of the status; both hold no secrets.
func (r *reconciler) announce(before, after *oamv1.Application) {
	for _, e := range news(before, after) {
		r.events.Eventf(after, nil, e.kind, e.reason, e.action, "%s", e.note)
	}
}

// news are the events for the difference between two states of an Application.
func news(before, after *oamv1.Application) []event {
	var out []event
	tell := func(kind, reason, action, note string) {
		out = append(out, event{kind, reason, action, cut(note)})
	}
	changed := func(typ string, want metav1.ConditionStatus) (string, bool) {
		was, is := status.Get(before.Status.Conditions, typ), status.Get(after.Status.Conditions, typ)
		if is == nil || is.Status != want {
			return "", false
		}
		return is.Message, was == nil || was.Status != is.Status || was.Message != is.Message
	}
	if after.Status.Phase == oamv1.PhaseDeleting {
		if message, new := changed(oamv1.ConditionReady, metav1.ConditionFalse); new {
			tell(corev1.EventTypeNormal, "Deleting", "Delete", message)
		}
		return out
	}
	for _, typ := range []string{oamv1.ConditionParsed, oamv1.ConditionRender} {
		if message, new := changed(typ, metav1.ConditionFalse); new {
			tell(corev1.EventTypeWarning, "Refused", "Render", message)
		}
	}
	revision := latest(after)
	isNew := revision != "" && revision != latest(before)
	applied := status.IsTrue(after.Status.Conditions, oamv1.ConditionApplied)
	switch { // one event for what happens at once: with many Applications they are a good part of all writes
	case isNew && applied:
		tell(corev1.EventTypeNormal, "Applied", "Apply", "rendered and applied revision "+revision)
	case isNew:
		tell(corev1.EventTypeNormal, "Rendered", "Render", "rendered revision "+revision)
	case applied && !status.IsTrue(before.Status.Conditions, oamv1.ConditionApplied):
		tell(corev1.EventTypeNormal, "Applied", "Apply", "applied revision "+revision)
	}
	if c := status.Get(after.Status.Conditions, oamv1.ConditionApplied); c != nil && c.Reason == reasonFailed {
		if message, new := changed(oamv1.ConditionApplied, metav1.ConditionFalse); new {
			tell(corev1.EventTypeWarning, "NotApplied", "Apply", message)
		}
	}
	return append(out, healthNews(before.Status.Services, after.Status.Services)...)
}

// healthNews tells of components that became healthy or not, and of another cause.
func healthNews(before, after []oamv1.ApplicationComponentStatus) []event {
	known := map[string]oamv1.ApplicationComponentStatus{}
	for _, s := range before {
		known[s.Name] = s
	}
	var out []event
	var healthy []string
	for _, s := range after {
		was, ok := known[s.Name]
		switch {
		case s.Healthy && (!ok || !was.Healthy):
			healthy = append(healthy, fmt.Sprintf("%q", s.Name))
		case !s.Healthy && s.Message != "" && (!ok || was.Healthy || was.Message != s.Message):
			note := fmt.Sprintf("component %q is not healthy: %s", s.Name, s.Message)
			out = append(out, event{corev1.EventTypeWarning, "Unhealthy", "Observe", cut(note)})
		}
	}
	if len(healthy) > 0 {
		out = append(out, event{corev1.EventTypeNormal, "Healthy", "Observe", cut("healthy: component " + strings.Join(healthy, ", "))})
	}
	return out
}

func cut(note string) string { return strings.ToValidUTF8(note[:min(len(note), mostNote)], "") }

func latest(app *oamv1.Application) string {
	if app.Status.LatestRevision == nil {
		return ""
	}
	return app.Status.LatestRevision.Name
}
