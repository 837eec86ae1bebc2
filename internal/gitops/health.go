// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// healthOf computes one object's health: OAM Applications by their phase, Releases by
// Ready and Synced, everything else as kstatus does. A Release or an Application without
// a status is Progressing, never Healthy.
func healthOf(o *unstructured.Unstructured) argov1alpha1.HealthStatus {
	gvk := o.GroupVersionKind()
	switch {
	case !o.GetDeletionTimestamp().IsZero():
		return health(argov1alpha1.HealthProgressing, "is being deleted")
	case gvk.Group == "core.oam.dev" && gvk.Kind == "Application":
		return applicationHealth(o)
	case gvk.Kind == "Release" && strings.HasSuffix(gvk.Group, "crossplane.io"):
		return releaseHealth(o)
	}
	r, err := status.Compute(o)
	if err != nil {
		return health(argov1alpha1.HealthUnknown, "its status cannot be read: "+err.Error())
	}
	switch r.Status {
	case status.CurrentStatus:
		return health(argov1alpha1.HealthHealthy, "")
	case status.FailedStatus:
		return health(argov1alpha1.HealthDegraded, r.Message)
	case status.UnknownStatus:
		return health(argov1alpha1.HealthUnknown, r.Message)
	default:
		return health(argov1alpha1.HealthProgressing, r.Message)
	}
}

func health(code argov1alpha1.HealthStatusCode, message string) argov1alpha1.HealthStatus {
	return argov1alpha1.HealthStatus{Status: code, Message: message}
}

// applicationHealth reads a core.oam.dev Application. Its message is that of the first
// component that is not healthy, else of the condition that is not true.
func applicationHealth(o *unstructured.Unstructured) argov1alpha1.HealthStatus {
	phase, _, _ := unstructured.NestedString(o.Object, "status", "status")
	if observed, ok, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration"); ok && observed < o.GetGeneration() {
		return health(argov1alpha1.HealthProgressing, "the newest change is not rendered yet")
	}
	message := componentMessage(o)
	if message == "" {
		message = conditionMessage(o)
	}
	switch phase {
	case "running":
		return health(argov1alpha1.HealthHealthy, "")
	case "unhealthy", "workflowFailed", "workflowTerminated":
		if message == "" {
			message = "status.status is " + phase
		}
		return health(argov1alpha1.HealthDegraded, message)
	case "workflowSuspending":
		return health(argov1alpha1.HealthSuspended, message)
	case "":
		return health(argov1alpha1.HealthProgressing, "no status yet")
	}
	if message == "" {
		message = phase
	}
	return health(argov1alpha1.HealthProgressing, message)
}

// componentMessage is NAME: MESSAGE of the first component that is not healthy, or of its
// first trait that is not.
func componentMessage(o *unstructured.Unstructured) string {
	services, _, _ := unstructured.NestedSlice(o.Object, "status", "services")
	for _, s := range services {
		service, ok := s.(map[string]any)
		if !ok {
			continue
		}
		healthy, _, _ := unstructured.NestedBool(service, "healthy")
		name, _, _ := unstructured.NestedString(service, "name")
		message, _, _ := unstructured.NestedString(service, "message")
		if trait := traitMessage(service); trait != "" && message == "" {
			message = trait
		}
		if !healthy && message != "" {
			return name + ": " + message
		}
		if !healthy {
			return name + " is not healthy"
		}
	}
	return ""
}

func traitMessage(service map[string]any) string {
	traits, _, _ := unstructured.NestedSlice(service, "traits")
	for _, t := range traits {
		trait, ok := t.(map[string]any)
		if !ok {
			continue
		}
		healthy, _, _ := unstructured.NestedBool(trait, "healthy")
		message, _, _ := unstructured.NestedString(trait, "message")
		if !healthy && message != "" {
			return message
		}
	}
	return ""
}

// conditionMessage is TYPE: MESSAGE of the first condition that is False and has a message.
func conditionMessage(o *unstructured.Unstructured) string {
	for typ, c := range conditionsOf(o) {
		if c.status == "False" && c.message != "" {
			return typ + ": " + c.message
		}
	}
	return ""
}

// releaseHealth reads a Release of provider-helm: Healthy needs both Ready and Synced.
func releaseHealth(o *unstructured.Unstructured) argov1alpha1.HealthStatus {
	conditions := conditionsOf(o)
	ready, synced := conditions["Ready"], conditions["Synced"]
	state, _, _ := unstructured.NestedString(o.Object, "status", "atProvider", "state")
	switch {
	case synced.status == "False" && synced.reason != "ReconcilePaused":
		return health(argov1alpha1.HealthDegraded, firstText(synced.message, "Synced is False: "+synced.reason))
	case state == "failed":
		return health(argov1alpha1.HealthDegraded, firstText(ready.message, "the Helm release has failed"))
	case ready.status == "True" && synced.status == "True":
		return health(argov1alpha1.HealthHealthy, "")
	case ready.status == "":
		return health(argov1alpha1.HealthProgressing, "no status yet")
	}
	return health(argov1alpha1.HealthProgressing, firstText(ready.message, ready.reason))
}

type condition struct{ status, reason, message string }

// conditionsOf reads status.conditions by type.
func conditionsOf(o *unstructured.Unstructured) map[string]condition {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	out := map[string]condition{}
	for _, item := range list {
		c, ok := item.(map[string]any)
		if !ok {
			continue
		}
		text := func(field string) string { s, _, _ := unstructured.NestedString(c, field); return s }
		out[text("type")] = condition{text("status"), text("reason"), text("message")}
	}
	return out
}

func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// healthOrder is from best to worst, as in Argo CD.
var healthOrder = []argov1alpha1.HealthStatusCode{
	argov1alpha1.HealthHealthy, argov1alpha1.HealthSuspended, argov1alpha1.HealthProgressing,
	argov1alpha1.HealthMissing, argov1alpha1.HealthDegraded, argov1alpha1.HealthUnknown,
}

// worstHealth is the health of an Application: that of its worst resource, with the
// resource's name before its message. Without resources it is Healthy.
func worstHealth(resources []argov1alpha1.ResourceStatus) argov1alpha1.HealthStatus {
	worst, rank := health(argov1alpha1.HealthHealthy, ""), 0
	for _, r := range resources {
		if r.Health == nil || r.RequiresPruning {
			continue
		}
		for i, code := range healthOrder {
			if code == r.Health.Status && i > rank {
				rank = i
				worst = health(code, fmt.Sprintf("%s %s: %s", r.Kind, r.Name, firstText(r.Health.Message, string(code))))
			}
		}
	}
	return worst
}
