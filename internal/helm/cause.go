// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	corev1 "k8s.io/api/core/v1"
)

// mostCause bounds how much of a container's last words a condition repeats.
const mostCause = 400

// podCause is why a Pod is not ready.
type podCause struct {
	// Message for a person; empty when the Pod is ready or has nothing to say yet.
	Message string
	// Broken is true when it will not become ready without help.
	Broken bool
}

// brokenReasons are the reasons of a waiting container that do not pass by themselves.
var brokenReasons = map[string]bool{
	"ImagePullBackOff":           true,
	"ErrImagePull":               true,
	"InvalidImageName":           true,
	"ErrImageNeverPull":          true,
	"CreateContainerConfigError": true,
	"CreateContainerError":       true,
	"RunContainerError":          true,
	"CrashLoopBackOff":           true,
}

// podsCause is the worst cause among Pods: one that is broken before any other, then by
// the Pod's name.
func podsCause(pods []corev1.Pod) podCause {
	sorted := slices.Clone(pods)
	slices.SortFunc(sorted, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	var worst podCause
	for i := range sorted {
		cause := causeOf(&sorted[i])
		if cause.Broken {
			return cause
		}
		if worst.Message == "" {
			worst = cause
		}
	}
	return worst
}

// causeOf looks at one Pod: its containers in the order in which they start, then
// whether it could be placed on a node.
func causeOf(pod *corev1.Pod) podCause {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			if cause := causeOfContainer(pod.Name, &statuses[i]); cause.Broken {
				return cause
			}
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return podCause{Message: fmt.Sprintf("Pod %s cannot be placed: %s", pod.Name, c.Message)}
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return podCause{Message: fmt.Sprintf("Pod %s failed: %s %s", pod.Name, pod.Status.Reason, pod.Status.Message), Broken: true}
	}
	for i := range pod.Status.ContainerStatuses {
		if s := &pod.Status.ContainerStatuses[i]; s.State.Running != nil && !s.Ready {
			return podCause{Message: fmt.Sprintf("Pod %s: container %s runs but is not ready yet", pod.Name, s.Name)}
		}
	}
	return podCause{}
}

// causeOfContainer names the reason and what the container or the runtime said last.
func causeOfContainer(pod string, s *corev1.ContainerStatus) podCause {
	waiting := s.State.Waiting
	if waiting == nil || !brokenReasons[waiting.Reason] {
		return podCause{}
	}
	message := fmt.Sprintf("Pod %s: container %s: %s", pod, s.Name, waiting.Reason)
	if last := s.LastTerminationState.Terminated; last != nil {
		message += fmt.Sprintf(" (exit code %d, %s)", last.ExitCode, last.Reason)
		if last.Message != "" {
			return podCause{Message: message + ": " + shorten(last.Message), Broken: true}
		}
	}
	if waiting.Message != "" {
		message += ": " + shorten(waiting.Message)
	}
	return podCause{Message: message, Broken: true}
}

// newestEvent is the message of the last event.
func newestEvent(events []corev1.Event) string {
	if len(events) == 0 {
		return ""
	}
	newest := slices.MaxFunc(events, func(a, b corev1.Event) int {
		return a.LastTimestamp.Compare(b.LastTimestamp.Time)
	})
	return shorten(newest.Message)
}

// shorten keeps the end, where programs say why they stopped.
func shorten(message string) string {
	message = strings.TrimSpace(message)
	if len(message) <= mostCause {
		return message
	}
	return "..." + strings.ToValidUTF8(message[len(message)-mostCause:], "")
}

// sortManifests sorts the keys of releaseutil.SplitManifests into their order in the file.
func sortManifests(names []string) { sort.Sort(releaseutil.BySplitManifestsOrder(names)) }
