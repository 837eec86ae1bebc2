// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// outcome is what a reconcile found and did.
type outcome struct {
	// Problem is why what is wanted is not there; empty when nothing is wrong.
	Problem  string
	Observed observation
	Decision decision
	// Chart that is wanted; nil when it could not be found.
	Chart *chartPackage
	// Note is added to the message of Synced.
	Note string
}

// unfetched notes that the chart cannot be fetched at the moment, where that is no problem.
func (o *outcome) unfetched(err error) {
	if err == nil {
		return
	}
	if o.Note != "" {
		o.Note += "; "
	}
	o.Note += "its chart cannot be fetched now: " + err.Error()
}

// hush hides the secrets in everything that is told of an outcome.
func (o outcome) hush(s *secrets) outcome {
	o.Problem, o.Decision.Why = s.hide(o.Problem), s.hide(o.Decision.Why)
	o.Observed.FailedMessage, o.Observed.Workloads.Message = s.hide(o.Observed.FailedMessage), s.hide(o.Observed.Workloads.Message)
	if o.Observed.Last != nil {
		last := *o.Observed.Last
		last.Description = s.hide(last.Description)
		o.Observed.Last = &last
	}
	return o
}

// report writes an outcome into the status; pure.
func report(rel *helmv1beta1.Release, o outcome) {
	s := &rel.Status
	s.ObservedGeneration = rel.Generation
	problem := o.problem()
	s.Synced = problem == ""
	s.Failed = int32(o.Observed.Failed)
	s.AtProvider = o.atProvider(s.AtProvider)
	if s.Synced {
		message := fmt.Sprintf("revision %d is what the Release asks for", s.AtProvider.Revision)
		if o.Note != "" {
			message += "; " + o.Note
		}
		setSynced(rel, metav1.ConditionTrue, platformv1alpha1.ReasonReconcileSuccess, message)
	} else {
		setSynced(rel, metav1.ConditionFalse, platformv1alpha1.ReasonReconcileError, problem)
	}
	ready, reason, message := o.readiness(status.IsTrue(s.Conditions, platformv1alpha1.ConditionReady), problem)
	setReady(rel, ready, reason, message)
}

// problem is the whole story of why the Release is not synced.
func (o outcome) problem() string {
	if o.Problem != "" {
		return o.Problem
	}
	if o.Decision.Do != doHold {
		return ""
	}
	parts := make([]string, 0, 3)
	if o.Observed.FailedMessage != "" {
		parts = append(parts, o.Observed.FailedMessage)
	}
	if last := o.Observed.Last; o.Observed.Failed > 0 && last.State == stateDeployed {
		parts = append(parts, fmt.Sprintf("rolled back, revision %d runs", last.Number))
	}
	return strings.Join(append(parts, o.Decision.Why), "; ")
}

// readiness is the condition Ready, which tells about what runs, whether or not it is
// what is wanted by now.
func (o outcome) readiness(wasReady bool, problem string) (metav1.ConditionStatus, string, string) {
	last, w := o.Observed.Last, o.Observed.Workloads
	switch {
	case last == nil || last.State == stateUninstalled:
		return metav1.ConditionFalse, platformv1alpha1.ReasonCreating, problem
	case last.State != stateDeployed:
		message := last.Description
		if w.Message != "" {
			message += "; " + w.Message
		}
		return metav1.ConditionFalse, platformv1alpha1.ReasonUnavailable, message
	case w.Ready:
		return metav1.ConditionTrue, platformv1alpha1.ReasonAvailable, ""
	case w.Broken || wasReady:
		return metav1.ConditionFalse, platformv1alpha1.ReasonUnavailable, w.Message
	default:
		return metav1.ConditionFalse, platformv1alpha1.ReasonCreating, w.Message
	}
}

// atProvider is Helm's view. The digest is that of the wanted chart and stays what it was
// while something else is installed.
func (o outcome) atProvider(before helmv1beta1.ReleaseObservation) helmv1beta1.ReleaseObservation {
	last := o.Observed.Last
	if last == nil {
		return helmv1beta1.ReleaseObservation{}
	}
	at := helmv1beta1.ReleaseObservation{
		State:              last.State,
		ReleaseDescription: last.Description,
		Revision:           last.Number,
		Version:            last.ChartVersion,
		Digest:             before.Digest,
	}
	if o.Chart != nil && o.problem() == "" {
		at.Digest = o.Chart.Digest
	}
	return at
}

func setSynced(rel *helmv1beta1.Release, s metav1.ConditionStatus, reason, message string) {
	status.Set(&rel.Status.Conditions, rel.Generation, platformv1alpha1.ConditionSynced, s, reason, message)
}

func setReady(rel *helmv1beta1.Release, s metav1.ConditionStatus, reason, message string) {
	status.Set(&rel.Status.Conditions, rel.Generation, platformv1alpha1.ConditionReady, s, reason, message)
}
