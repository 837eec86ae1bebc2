// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// virtualPodStatus is the host Pod's status as the virtual Pod's. What belongs to the
// virtual side stays: its quality-of-service class (immutable, and the host's may differ when
// the host's admission filled in resources), the conditions of its
// readiness gates (written by controllers in the virtual cluster), that it was evicted there, and generations.
func virtualPodStatus(virtual, host *corev1.Pod) corev1.PodStatus {
	status := *host.Status.DeepCopy()
	generation := func(observed int64) int64 {
		return virtualGeneration(observed, host.Generation, virtual.Generation)
	}
	status.ObservedGeneration = generation(status.ObservedGeneration)
	for i := range status.Conditions {
		status.Conditions[i].ObservedGeneration = generation(status.Conditions[i].ObservedGeneration)
	}
	if virtual.Status.QOSClass != "" {
		status.QOSClass = virtual.Status.QOSClass
	}
	if !mirrored(virtual) {
		for _, gate := range gateConditions(virtual) {
			setCondition(&status.Conditions, gate)
		}
		if disrupted := findCondition(virtual.Status.Conditions, corev1.DisruptionTarget); disrupted != nil {
			setCondition(&status.Conditions, *disrupted)
		}
	}
	status.ResourceClaimStatuses = nil
	status.ExtendedResourceClaimStatus = nil
	status.NodeAllocatableResourceClaimStatuses = nil
	return status
}

// virtualGeneration says which generation of the virtual object a host controller
// has seen, from what it says it saw of the host object. 0 stays 0: not said.
func virtualGeneration(observed, host, virtual int64) int64 {
	switch {
	case observed == 0:
		return 0
	case observed >= host:
		return virtual
	default:
		return max(virtual-1, 0)
	}
}

// gateConditions are the conditions of a Pod's readiness gates that somebody has set.
func gateConditions(pod *corev1.Pod) []corev1.PodCondition {
	var conditions []corev1.PodCondition
	for _, gate := range pod.Spec.ReadinessGates {
		if condition := findCondition(pod.Status.Conditions, gate.ConditionType); condition != nil {
			conditions = append(conditions, *condition)
		}
	}
	return conditions
}

// mergeGates brings the virtual Pod's readiness gates into the host Pod's conditions,
// where the kubelet reads them; true when that changes anything.
func mergeGates(host *corev1.Pod, virtual *corev1.Pod) bool {
	changed := false
	for _, gate := range gateConditions(virtual) {
		have := findCondition(host.Status.Conditions, gate.Type)
		if have != nil && have.Status == gate.Status && have.Reason == gate.Reason && have.Message == gate.Message {
			continue
		}
		gate.ObservedGeneration = 0
		setCondition(&host.Status.Conditions, gate)
		changed = true
	}
	return changed
}

func findCondition(conditions []corev1.PodCondition, kind corev1.PodConditionType) *corev1.PodCondition {
	at := slices.IndexFunc(conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	if at < 0 {
		return nil
	}
	return &conditions[at]
}

func setCondition(conditions *[]corev1.PodCondition, condition corev1.PodCondition) {
	if have := findCondition(*conditions, condition.Type); have != nil {
		*have = condition
		return
	}
	*conditions = append(*conditions, condition)
}

// refuse writes into a virtual Pod's status that the host did not take it; true
// when that is news. The transition time moves only with the condition's status.
func refuse(pod *corev1.Pod, reason, message string, now metav1.Time) bool {
	have := findCondition(pod.Status.Conditions, corev1.PodScheduled)
	if have != nil && have.Status == corev1.ConditionFalse && have.Reason == reason && have.Message == message {
		return false
	}
	condition := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message,
		LastTransitionTime: now,
	}
	if have != nil && have.Status == corev1.ConditionFalse {
		condition.LastTransitionTime = have.LastTransitionTime
	}
	setCondition(&pod.Status.Conditions, condition)
	return true
}

// lose ends a Pod whose host Pod is gone without having said how it ended: as a disruption, which Jobs may be told not to count.
func lose(pod *corev1.Pod, now metav1.Time) {
	const reason, message = "HostPodGone", "the Pod was removed on the host before it ended"
	pod.Status.Phase, pod.Status.Reason, pod.Status.Message = corev1.PodFailed, reason, message
	if findCondition(pod.Status.Conditions, corev1.DisruptionTarget) == nil {
		setCondition(&pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: now,
		})
	}
}

// wasScheduled says whether a Pod's status shows that it once had a place on the host.
func wasScheduled(pod *corev1.Pod) bool {
	if pod.Status.StartTime != nil {
		return true
	}
	scheduled := findCondition(pod.Status.Conditions, corev1.PodScheduled)
	return scheduled != nil && scheduled.Status == corev1.ConditionTrue
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
