// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"maps"
	"strings"

	"cuelang.org/go/cue"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// Health is how something is, and what to tell about it.
type Health struct {
	Healthy bool
	Message string
	Details map[string]string
}

// ComponentHealth is the health of a component and of each of its traits.
type ComponentHealth struct {
	// Healthy when the workload and every trait are.
	Healthy  bool
	Workload Health
	// Traits in the order of Component.Traits.
	Traits []Health
}

// Health computes health from live objects. live returns the object of the cluster for a
// rendered one, or nil when it is not there.
//
// A definition's healthPolicy decides when there is one. Else every object must be
// Current as kstatus defines it, and objects of Crossplane's groups must be Ready and
// Synced: an object that has not reported yet is not healthy.
func (c *Component) Health(live func(*unstructured.Unstructured) *unstructured.Unstructured) ComponentHealth {
	objects := make([]*unstructured.Unstructured, len(c.Objects))
	context := maps.Clone(c.context)
	outputs := map[string]any{}
	for i, o := range c.Objects {
		objects[i] = live(o.Unstructured)
		if objects[i] == nil {
			continue
		}
		if o.Key == "" {
			context["output"] = objects[i].Object
			context["status"] = objects[i].Object["status"]
			continue
		}
		outputs[o.Key] = objects[i].Object
	}
	context["outputs"] = outputs

	out := ComponentHealth{Workload: c.part(-1, c.status, c.definition, c.parameters, context, objects)}
	out.Healthy = out.Workload.Healthy
	for i, t := range c.Traits {
		h := c.part(i, t.status, t.definition, t.parameters, context, objects)
		out.Traits = append(out.Traits, h)
		out.Healthy = out.Healthy && h.Healthy
	}
	return out
}

// part is the health of the objects that one definition made.
func (c *Component) part(trait int, st *oamv1.Status, d definition, params []byte, context map[string]any, live []*unstructured.Unstructured) Health {
	h := Health{Healthy: true}
	for i, o := range c.Objects {
		if o.Trait != trait {
			continue
		}
		if live[i] == nil {
			return Health{Message: fmt.Sprintf("%s %s does not exist yet", o.GetKind(), o.GetName())}
		}
		if own := objectHealth(live[i]); h.Healthy && !own.Healthy {
			h = own
		}
	}
	if st == nil {
		return h
	}
	given := []given{{"context", mustJSON(context)}, {"parameter", params}}
	hasPolicy := strings.TrimSpace(st.HealthPolicy) != ""
	if hasPolicy {
		healthy, err := policy(script{id: d.id + " status.healthPolicy", source: st.HealthPolicy, given: given})
		if err != nil {
			return Health{Message: err.Error()}
		}
		if healthy {
			h.Message = ""
		} else if h.Healthy {
			h.Message = "the definition's healthPolicy does not hold yet"
		}
		h.Healthy = healthy
	}
	if message := custom(script{id: d.id + " status.customStatus", source: st.CustomStatus, given: given}); message != "" {
		if h.Message != "" && !hasPolicy {
			message = fmt.Sprintf("%s (%s)", message, h.Message)
		}
		h.Message = message
	}
	h.Details = details(script{id: d.id + " status.details", source: st.Details, given: given})
	return h
}

// policy evaluates isHealth. What is not known yet is not healthy; what can never be
// known is an error.
func policy(s script) (bool, error) {
	ev, err := s.evaluate()
	if err != nil {
		return false, err
	}
	v := ev.value.LookupPath(cue.ParsePath("isHealth"))
	if !v.Exists() {
		return false, &Error{Definition: s.id, Message: "the policy does not set isHealth"}
	}
	healthy, err := v.Bool()
	return healthy && err == nil, nil
}

// custom evaluates message; a message that needs what is not there yet is empty.
func custom(s script) string {
	if strings.TrimSpace(s.source) == "" {
		return ""
	}
	ev, err := s.evaluate()
	if err != nil {
		return err.Error()
	}
	message, err := ev.value.LookupPath(cue.ParsePath("message")).String()
	if err != nil {
		return ""
	}
	return message
}

// details evaluates a struct of values; those that are not known yet are left out.
func details(s script) map[string]string {
	if strings.TrimSpace(s.source) == "" {
		return nil
	}
	ev, err := s.evaluate()
	if err != nil {
		return nil
	}
	out := map[string]string{}
	it, err := ev.value.Fields()
	if err != nil {
		return nil
	}
	for it.Next() {
		name := it.Selector().Unquoted()
		if name == "context" || name == "parameter" || strings.HasPrefix(name, "$") {
			continue
		}
		if data, err := ev.decode(it.Value()); err == nil {
			out[name] = strings.Trim(string(mustJSON(data)), `"`)
		}
	}
	return out
}

// objectHealth is the health of a live object by itself.
func objectHealth(o *unstructured.Unstructured) Health {
	if !o.GetDeletionTimestamp().IsZero() {
		return Health{Message: fmt.Sprintf("%s %s is being deleted", o.GetKind(), o.GetName())}
	}
	if strings.HasSuffix(o.GroupVersionKind().Group, ".crossplane.io") && o.GetKind() == "Release" {
		return managedHealth(o)
	}
	res, err := status.Compute(o)
	if err != nil {
		return Health{Message: fmt.Sprintf("%s %s: %v", o.GetKind(), o.GetName(), err)}
	}
	if res.Status == status.CurrentStatus {
		return Health{Healthy: true}
	}
	return Health{Message: fmt.Sprintf("%s %s: %s", o.GetKind(), o.GetName(), res.Message)}
}

// managedHealth is Crossplane's rule for a managed resource: Ready and Synced.
func managedHealth(o *unstructured.Unstructured) Health {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	state := map[string]map[string]any{}
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok {
			typ, _ := m["type"].(string)
			state[typ] = m
		}
	}
	for _, typ := range []string{oamv1.ConditionSynced, oamv1.ConditionReady} {
		c, ok := state[typ]
		if !ok {
			return Health{Message: fmt.Sprintf("%s %s has not reported %s yet", o.GetKind(), o.GetName(), typ)}
		}
		if c["status"] != "True" {
			reason, _ := c["reason"].(string)
			message, _ := c["message"].(string)
			return Health{Message: strings.TrimSuffix(fmt.Sprintf("%s %s is not %s: %s: %s", o.GetKind(), o.GetName(), typ, reason, message), ": ")}
		}
	}
	return Health{Healthy: true}
}
