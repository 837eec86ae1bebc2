// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// state of one object.
type state string

const (
	stateOK      state = "ok"
	stateWorking state = "working"
	stateFailed  state = "failed"
	stateMissing state = "missing"
)

// verdict is what an object's own status says.
type verdict struct {
	state   state
	message string
	// silent is the cluster or repository that does not answer, which no push mends.
	silent string
}

// judge is pure: an object as the API server has it -> how it is doing.
func judge(o *unstructured.Unstructured) verdict {
	if o == nil {
		return verdict{state: stateMissing, message: "is not there"}
	}
	if o.GetDeletionTimestamp() != nil {
		return verdict{state: stateWorking, message: cmp.Or(conditionMessage(o, "Ready"), "is being deleted")}
	}
	switch group, kind := o.GroupVersionKind().Group, o.GetKind(); {
	case group == "argoproj.io" && kind == "Application":
		return judgeDelivery(o)
	case group == "core.oam.dev" && kind == "Application":
		return judgeApplication(o)
	case kind == "Pod":
		return judgePod(o)
	case strings.HasSuffix(group, "skerry.dev"), strings.HasSuffix(group, "crossplane.io"):
		return judgeConditions(o)
	}
	r, err := status.Compute(o)
	if err != nil {
		return verdict{state: stateFailed, message: err.Error()}
	}
	switch r.Status {
	case status.CurrentStatus:
		return verdict{state: stateOK}
	case status.FailedStatus:
		return verdict{state: stateFailed, message: r.Message}
	}
	return verdict{state: stateWorking, message: r.Message}
}

// condition returns a condition's status, reason and message.
func condition(o *unstructured.Unstructured, typ string) (value, reason, message string) {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range list {
		m, ok := c.(map[string]any)
		if !ok || m["type"] != typ {
			continue
		}
		value, _ = m["status"].(string)
		reason, _ = m["reason"].(string)
		message, _ = m["message"].(string)
	}
	return value, reason, message
}

func conditionMessage(o *unstructured.Unstructured, typ string) string {
	_, _, message := condition(o, typ)
	return message
}

// judgeConditions reads Ready and Synced as Crossplane means them.
func judgeConditions(o *unstructured.Unstructured) verdict {
	synced, reason, why := condition(o, "Synced")
	if synced == "False" {
		return verdict{state: stateFailed, message: cmp.Or(why, reason)}
	}
	ready, reason, why := condition(o, "Ready")
	switch {
	case ready == "True":
		return verdict{state: stateOK}
	case ready == "":
		return verdict{state: stateWorking, message: "has no status yet"}
	case reason == "Unavailable" || reason == "Waiting":
		return verdict{state: stateFailed, message: cmp.Or(why, reason)}
	}
	return verdict{state: stateWorking, message: cmp.Or(why, reason)}
}

// judgeDelivery reads an Argo CD Application.
func judgeDelivery(o *unstructured.Unstructured) verdict {
	if v := deliveryError(o); v.message != "" {
		return v
	}
	sync, _, _ := unstructured.NestedString(o.Object, "status", "sync", "status")
	health, _, _ := unstructured.NestedString(o.Object, "status", "health", "status")
	phase, _, _ := unstructured.NestedString(o.Object, "status", "operationState", "phase")
	message, _, _ := unstructured.NestedString(o.Object, "status", "operationState", "message")
	switch {
	case sync != "Synced" && (phase == "Failed" || phase == "Error"):
		return verdict{state: stateFailed, message: message}
	case sync != "Synced":
		return verdict{state: stateWorking, message: cmp.Or(message, "sync: "+cmp.Or(sync, "not yet"))}
	case health == "Degraded" || health == "Missing":
		why, _, _ := unstructured.NestedString(o.Object, "status", "health", "message")
		return verdict{state: stateFailed, message: "health: " + health + after(": ", why)}
	case health != "Healthy":
		return verdict{state: stateWorking, message: "health: " + cmp.Or(health, "not known yet")}
	}
	return verdict{state: stateOK}
}

// deliveryError is what the GitOps engine says keeps it from delivering.
func deliveryError(o *unstructured.Unstructured) verdict {
	v := verdict{state: stateFailed}
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range list {
		m, _ := c.(map[string]any)
		typ, _ := m["type"].(string)
		message, _ := m["message"].(string)
		switch {
		case strings.HasSuffix(typ, "Error") && v.message == "":
			v.message = message
		case typ == argov1alpha1.ConditionDestinationUnreachable:
			v.silent, _, _ = unstructured.NestedString(o.Object, "spec", "destination", "name")
		case typ == argov1alpha1.ConditionRepositoryUnreachable:
			v.silent, _, _ = unstructured.NestedString(o.Object, "spec", "source", "repoURL")
		}
	}
	return v
}

func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

// judgeApplication reads an OAM Application.
func judgeApplication(o *unstructured.Unstructured) verdict {
	phase, _, _ := unstructured.NestedString(o.Object, "status", "status")
	switch phase {
	case "running":
		return verdict{state: stateOK}
	case "":
		return verdict{state: stateWorking, message: "the OAM engine has not seen it yet"}
	}
	message := phase
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range list {
		m, _ := c.(map[string]any)
		if text, _ := m["message"].(string); m["status"] == "False" && text != "" {
			message = text
			break
		}
	}
	if phase == "unhealthy" || strings.HasSuffix(phase, "Failed") || strings.HasSuffix(phase, "Terminated") || message != phase {
		return verdict{state: stateFailed, message: message}
	}
	return verdict{state: stateWorking, message: message}
}

// judgePod prefers what a container waits for to what the Pod as a whole says.
func judgePod(o *unstructured.Unstructured) verdict {
	pod := &corev1.Pod{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, pod); err != nil {
		return verdict{state: stateFailed, message: err.Error()}
	}
	if pod.Status.Phase == corev1.PodSucceeded || podReady(pod) {
		return verdict{state: stateOK}
	}
	why := podMessage(pod)
	if why != "" || pod.Status.Phase == corev1.PodFailed {
		return verdict{state: stateFailed, message: cmp.Or(why, pod.Status.Message, "failed")}
	}
	return verdict{state: stateWorking, message: "phase " + string(cmp.Or(pod.Status.Phase, corev1.PodPending)) + ", not ready"}
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// podMessage is what keeps a Pod from running when that does not end by itself, else "".
func podMessage(pod *corev1.Pod) string {
	for _, c := range append(append([]corev1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...) {
		switch w := c.State.Waiting; {
		case w == nil, w.Reason == "ContainerCreating", w.Reason == "PodInitializing":
		case w.Reason == "CrashLoopBackOff" && c.LastTerminationState.Terminated != nil:
			t := c.LastTerminationState.Terminated
			return fmt.Sprintf("container %s ends again and again, last with exit code %d (%s)", c.Name, t.ExitCode, t.Reason)
		default:
			return fmt.Sprintf("container %s: %s%s", c.Name, w.Reason, after(": ", w.Message))
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return fmt.Sprintf("is not scheduled: %s", c.Message)
		}
	}
	return ""
}
