// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// Reasons of Prepared and Ready besides Crossplane's.
const (
	reasonNamespaceTaken  = "NamespaceTaken"
	reasonTerminating     = "NamespaceTerminating"
	reasonNotServed       = "PlacementNotServed"
	reasonNoCluster       = "VirtualClusterNotFound"
	reasonQuotaExceeded   = "QuotaExceeded"
	reasonDeleted         = "Deleted" // of an Event
	reasonPrepared        = "Prepared"
	reasonDrained         = "Drained"
	reasonDrainSkipped    = "Skipped"
	reasonDrainIncomplete = "TimedOut"
)

// blocked is an error that only a person, or time, can mend. It becomes a condition with
// its own reason instead of a retry with growing delay.
type blocked struct{ reason, message string }

func (b blocked) Error() string { return b.message }

func namespaceTaken(want *corev1.Namespace) error {
	return blocked{reason: reasonNamespaceTaken, message: fmt.Sprintf(
		"namespace %s exists and is not this virtual cluster's: delete it, or choose another name; to hand it over, label it %s=%s",
		want.Name, v1alpha1.LabelVirtualCluster, want.Labels[v1alpha1.LabelVirtualCluster])}
}
