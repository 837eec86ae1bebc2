// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status sets conditions and writes an object's status once, at the end of a
// reconcile. Every stage of docs/flow.md uses it, so that conditions look alike.
package status

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mostMessage is the longest message that the API accepts for a metav1.Condition.
const mostMessage = 32768

// Set writes one condition and reports whether anything changed.
// LastTransitionTime moves only when the status does.
func Set(conds *[]metav1.Condition, generation int64, typ string, s metav1.ConditionStatus, reason, message string) bool {
	if len(message) > mostMessage {
		message = strings.ToValidUTF8(message[:mostMessage], "")
	}
	return meta.SetStatusCondition(conds, metav1.Condition{
		Type: typ, Status: s, Reason: reason, Message: message, ObservedGeneration: generation,
	})
}

// Get returns the condition of the given type, or nil.
func Get(conds []metav1.Condition, typ string) *metav1.Condition {
	return meta.FindStatusCondition(conds, typ)
}

// IsTrue reports whether the condition is present and True.
func IsTrue(conds []metav1.Condition, typ string) bool {
	return meta.IsStatusConditionTrue(conds, typ)
}

// Patch writes the difference between before and obj to the status subresource. The
// write carries before's resourceVersion: when somebody else wrote in the
// meantime it fails with a conflict, and the reconcile is to be run again on
// what is there now. Equal objects send nothing.
func Patch(ctx context.Context, c client.Client, obj, before client.Object) error {
	if equality.Semantic.DeepEqual(before, obj) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Status().Patch(ctx, obj, patch); err != nil {
		return fmt.Errorf("writing the status of %s: %w", client.ObjectKeyFromObject(obj), err)
	}
	return nil
}
