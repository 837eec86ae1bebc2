// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"context"
	"errors"
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
	// Refused is set when the evaluator did not let the definitions' scripts come to an
	// end; asking again would end in the same way.
	Refused *Error
}

// Health computes health from live objects. live returns the object of the cluster for a
// rendered one, or nil when it is not there.
//
// A definition's healthPolicy decides when there is one. Else every object must be
// Current as kstatus defines it, and objects of Crossplane's groups must be Ready and
// Synced: an object that has not reported yet is not healthy. The error is one that
// trying again may help against.
func (c *Component) Health(ctx context.Context, ev Evaluator, live func(*unstructured.Unstructured) *unstructured.Unstructured) (ComponentHealth, error) {
	objects := make([]*unstructured.Unstructured, len(c.Objects))
	given := maps.Clone(c.context)
	outputs := map[string]any{}
	for i, o := range c.Objects {
		objects[i] = live(o.Unstructured)
		if objects[i] == nil {
			continue
		}
		if o.Key == "" {
			given["output"] = objects[i].Object
			given["status"] = objects[i].Object["status"]
			continue
		}
		outputs[o.Key] = objects[i].Object
	}
	given["outputs"] = outputs

	parts := []*part{c.part(-1, c.status, c.definition, c.parameters, objects)}
	for i, t := range c.Traits {
		parts = append(parts, c.part(i, t.status, t.definition, t.parameters, objects))
	}
	refused, err := askParts(ctx, ev, given, parts)
	if err != nil {
		return ComponentHealth{}, err
	}
	out := ComponentHealth{Workload: parts[0].Health, Healthy: parts[0].Healthy, Refused: refused}
	for _, p := range parts[1:] {
		out.Traits = append(out.Traits, p.Health)
		out.Healthy = out.Healthy && p.Healthy
	}
	return out, nil
}

// part is the health of the objects that one definition made.
type part struct {
	Health
	// question is what the definition's own scripts are asked; nil when it has none,
	// or when an object is missing.
	question *healthPart
}

// part starts with what the objects say by themselves.
func (c *Component) part(trait int, st *oamv1.Status, d definition, params []byte, live []*unstructured.Unstructured) *part {
	p := &part{Health: Health{Healthy: true}}
	for i, o := range c.Objects {
		if o.Trait != trait {
			continue
		}
		if live[i] == nil {
			return &part{Health: Health{Message: fmt.Sprintf("%s %s does not exist yet", o.GetKind(), o.GetName())}}
		}
		if own := objectHealth(live[i]); p.Healthy && !own.Healthy {
			p.Health = own
		}
	}
	if st != nil && strings.TrimSpace(st.HealthPolicy+st.CustomStatus+st.Details) != "" {
		p.question = &healthPart{Definition: d.id, Status: *st, Parameters: params}
	}
	return p
}

// askParts adds what the definitions' scripts say, with one question for all of them, or
// why that cannot be known.
func askParts(ctx context.Context, ev Evaluator, given map[string]any, parts []*part) (refused *Error, err error) {
	q := &healthQuestion{Context: given}
	var asked []*part
	for _, p := range parts {
		if p.question != nil {
			q.Parts = append(q.Parts, *p.question)
			asked = append(asked, p)
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	a, err := ask(ctx, ev, question{Health: q})
	switch {
	case errors.As(err, &refused):
		for _, p := range asked {
			p.Health = Health{Message: refused.Error()}
		}
		return refused, nil
	case err != nil:
		return nil, err
	}
	for i, p := range asked {
		p.add(a.Said[i])
	}
	return nil, nil
}

// add merges what a definition's scripts say into what the objects say.
func (p *part) add(s said) {
	switch {
	case s.Refused != nil:
		p.Health = Health{Message: s.Refused.Error()}
		return
	case s.Healthy != nil && *s.Healthy:
		p.Healthy, p.Message = true, ""
	case s.Healthy != nil:
		if p.Healthy {
			p.Message = "the definition's healthPolicy does not hold yet"
		}
		p.Healthy = false
	}
	if s.Message != "" {
		if p.Message != "" && s.Healthy == nil {
			s.Message = fmt.Sprintf("%s (%s)", s.Message, p.Message)
		}
		p.Message = s.Message
	}
	p.Details = s.Details
}

// answer evaluates the status scripts of every part.
func (q *healthQuestion) answer(doing func(string)) []said {
	context := mustJSON(q.Context)
	out := make([]said, 0, len(q.Parts))
	for _, p := range q.Parts {
		doing(p.Definition)
		given := []given{{"context", context}, {"parameter", p.Parameters}}
		s := said{}
		if strings.TrimSpace(p.Status.HealthPolicy) != "" {
			healthy, err := policy(script{id: p.Definition + " status.healthPolicy", source: p.Status.HealthPolicy, given: given})
			if err != nil && !errors.As(err, &s.Refused) {
				s.Refused = &Error{Definition: p.Definition, Path: "status.healthPolicy", Message: err.Error()}
			}
			s.Healthy = &healthy
		}
		s.Message = custom(script{id: p.Definition + " status.customStatus", source: p.Status.CustomStatus, given: given})
		s.Details = details(script{id: p.Definition + " status.details", source: p.Status.Details, given: given})
		out = append(out, s)
	}
	return out
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
