// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// summarize writes Synced and Ready from what the reconcile found (err) and from the
// other conditions. It is the only place where Ready of a VirtualCluster is computed.
func summarize(vc *v1alpha1.VirtualCluster, waiting string, err error) {
	conds, gen := &vc.Status.Conditions, vc.Generation
	synced(conds, gen, err)
	s, reason, message := metav1.ConditionFalse, v1alpha1.ReasonCreating, ""
	var b blocked
	switch {
	case !vc.DeletionTimestamp.IsZero():
		reason, message = v1alpha1.ReasonDeleting, waiting
		if err != nil {
			message = err.Error()
		}
	case errors.As(err, &b):
		reason, message = b.reason, b.message
	case err != nil:
		reason, message = unfinished(vc), err.Error()
	default:
		s, reason, message = serving(vc)
	}
	status.Set(conds, gen, v1alpha1.ConditionReady, s, reason, message)
}

func serving(vc *v1alpha1.VirtualCluster) (metav1.ConditionStatus, string, string) {
	conds := vc.Status.Conditions
	for _, part := range []struct{ typ, absent string }{
		{v1alpha1.ConditionControlPlaneReady, "waiting for a pool member to start the control plane"},
		{v1alpha1.ConditionRegistered, "waiting for the registration with the GitOps engine"},
	} {
		if part.typ == v1alpha1.ConditionRegistered && vc.Spec.GitOps == nil {
			continue
		}
		c := status.Get(conds, part.typ)
		if c == nil {
			return metav1.ConditionFalse, unfinished(vc), part.absent
		}
		if c.Status != metav1.ConditionTrue {
			return metav1.ConditionFalse, unfinished(vc), fmt.Sprintf("%s: %s", part.typ, c.Message)
		}
	}
	return metav1.ConditionTrue, v1alpha1.ReasonAvailable, ""
}

// unfinished is Creating until the cluster was ready once, then Unavailable.
func unfinished(vc *v1alpha1.VirtualCluster) string {
	ready := status.Get(vc.Status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && (ready.Status == metav1.ConditionTrue || ready.Reason == v1alpha1.ReasonUnavailable) {
		return v1alpha1.ReasonUnavailable
	}
	return v1alpha1.ReasonCreating
}

func synced(conds *[]metav1.Condition, gen int64, err error) {
	if err == nil {
		status.Set(conds, gen, v1alpha1.ConditionSynced, metav1.ConditionTrue, v1alpha1.ReasonReconcileSuccess, "")
		return
	}
	status.Set(conds, gen, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonReconcileError, err.Error())
}

func paused(conds *[]metav1.Condition, gen int64) {
	status.Set(conds, gen, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonReconcilePaused,
		"the annotation "+v1alpha1.AnnotationPaused+" is set")
}
