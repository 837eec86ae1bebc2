// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// mostNote is how much of a message goes into an event, in bytes; the API accepts 1,024.
const mostNote = 900

// announce tells what this pass changed in the Application as events, with Argo CD's reasons. What is in
// the status already is not told again.
// Source: https://github.com/argoproj/argo-cd/blob/master/util/argo/audit_logger.go
func (p *pass) announce(found *argov1alpha1.Application) {
	was, is := found.Status, p.app.Status
	if state := is.OperationState; state != nil && state.FinishedAt != nil &&
		(was.OperationState == nil || !state.FinishedAt.Equal(was.OperationState.FinishedAt)) {
		kind := corev1.EventTypeNormal
		if state.Phase != argov1alpha1.OperationSucceeded {
			kind = corev1.EventTypeWarning
		}
		p.event(kind, "OperationCompleted", "Sync operation "+string(state.Phase)+": "+state.Message)
	}
	if was.Sync.Status != is.Sync.Status {
		p.event(corev1.EventTypeNormal, "ResourceUpdated", "Updated sync status: "+firstText(string(was.Sync.Status), "none")+" -> "+string(is.Sync.Status))
	}
	if was.Health.Status != is.Health.Status {
		kind := corev1.EventTypeNormal
		if is.Health.Status == argov1alpha1.HealthDegraded {
			kind = corev1.EventTypeWarning
		}
		p.event(kind, "ResourceUpdated", "Updated health status: "+firstText(string(was.Health.Status), "none")+" -> "+string(is.Health.Status)+" "+is.Health.Message)
	}
	for _, c := range is.Conditions {
		known := slices.ContainsFunc(was.Conditions, func(old argov1alpha1.ApplicationCondition) bool {
			return old.Type == c.Type && old.Message == c.Message
		})
		if !known && c.Type != argov1alpha1.ConditionSyncError { // the operation's event says that one
			p.event(corev1.EventTypeWarning, c.Type, c.Message)
		}
	}
}

func (p *pass) event(kind, reason, note string) {
	if len(note) > mostNote {
		note = strings.ToValidUTF8(note[:mostNote], "") + "..."
	}
	p.recorder.Eventf(p.app, nil, kind, reason, "Sync", "%s", note)
}
