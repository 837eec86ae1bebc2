// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"fmt"
	"slices"

	"cuelang.org/go/cue"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// assembly is a component while its templates are making it.
type assembly struct {
	definitions Definitions
	spec        oamv1.ApplicationComponent
	context     map[string]any
	doing       func(definition string)
	assembled
}

// keyed is an object of `outputs`. Trait is the index of the trait that made it, or -1.
type keyed struct {
	Key    string         `json:"key"`
	Trait  int            `json:"trait"`
	Object map[string]any `json:"object"`
}

// answer evaluates the templates of an Application.
func (q *renderQuestion) answer(doing func(string)) ([]assembled, error) {
	in := Input{Application: q.Application, Definitions: q.Definitions, Cluster: q.Cluster, ClusterVersion: q.Version, Revision: q.Revision}
	plan, err := Parse(q.Application, q.Cluster)
	if err != nil {
		return nil, err
	}
	out := make([]assembled, 0, len(plan.Components))
	for _, spec := range plan.Components {
		a := &assembly{definitions: q.Definitions, spec: spec, context: contextOf(in, plan, spec), doing: doing}
		if err := a.assemble(); err != nil {
			return nil, err
		}
		out = append(out, a.assembled)
	}
	return out, nil
}

// assemble evaluates the component's template, then its traits' in their order.
func (a *assembly) assemble() error {
	_, d, err := a.definitions.component(a.spec.Type)
	if err == nil {
		a.Parameters, err = a.component(d, properties(a.spec.Properties))
	}
	if err != nil {
		return blame(err, a.spec.Name, "")
	}
	for i, trait := range a.spec.Traits {
		parameters, err := a.trait(i, trait)
		if err != nil {
			return blame(err, a.spec.Name, trait.Type)
		}
		a.Traits = append(a.Traits, parameters)
	}
	return nil
}

// blame writes down which component or trait an error is about.
func blame(err error, component, trait string) error {
	e, ok := err.(*Error)
	if !ok {
		return fmt.Errorf("rendering component %q: %w", component, err)
	}
	return e.in(component, trait)
}

func properties(raw *runtime.RawExtension) json.RawMessage {
	if raw == nil || len(raw.Raw) == 0 || string(raw.Raw) == "null" {
		return json.RawMessage("{}")
	}
	return raw.Raw
}

// run evaluates a definition's template with its parameters and what has been
// assembled so far.
func (a *assembly) run(d definition, params json.RawMessage) (*evaluated, error) {
	a.doing(d.id)
	context := given{"context", mustJSON(a.withOutputs())}
	s := script{id: d.id, source: d.template, given: []given{context, {"parameter", params}}}
	ev, err := s.evaluate()
	if err != nil {
		return nil, err
	}
	without := func() (*evaluated, error) {
		return script{id: d.id, source: d.template, given: []given{context}}.evaluate()
	}
	if err := checkParameters(ev, without, params); err != nil {
		return nil, err
	}
	if ev.value.LookupPath(cue.ParsePath("processing")).Exists() {
		return nil, &Error{Definition: d.id, Path: "processing", Message: "processing by HTTP is not part of this version"}
	}
	return ev, ev.refused()
}

// refused returns the messages of `errs`.
func (ev *evaluated) refused() error {
	data, ok, err := ev.lookup("errs")
	if err != nil || !ok {
		return err
	}
	messages, _ := data.([]any)
	for _, m := range messages {
		return &Error{Definition: ev.id, Path: "errs", Message: fmt.Sprint(m)}
	}
	return nil
}

// component renders the component itself, and returns its parameters with the
// definition's defaults.
func (a *assembly) component(d definition, params json.RawMessage) (json.RawMessage, error) {
	ev, err := a.run(d, params)
	if err != nil {
		return nil, err
	}
	data, ok, err := ev.lookup("output")
	if err != nil {
		return nil, err
	}
	if ok {
		if a.Output, err = object(ev, "output", data); err != nil {
			return nil, err
		}
	}
	if err := a.addOutputs(ev, -1); err != nil {
		return nil, err
	}
	if a.Output == nil && len(a.Outputs) == 0 {
		return nil, &Error{Definition: d.id, Path: "output", Message: "the template renders no object: it has neither output nor outputs"}
	}
	return ev.withDefaults(params), nil
}

// withDefaults returns the parameters as the template saw them.
func (ev *evaluated) withDefaults(params json.RawMessage) json.RawMessage {
	if data, ok, err := ev.lookup("parameter"); ok && err == nil {
		return mustJSON(data)
	}
	return params
}

// object checks that rendered data is a Kubernetes object. An empty struct is what a
// template renders under a condition that does not hold; it is no object.
func object(ev *evaluated, path string, data any) (map[string]any, error) {
	m, ok := data.(map[string]any)
	if ok && len(m) == 0 {
		return nil, nil
	}
	apiVersion, _ := m["apiVersion"].(string)
	kind, _ := m["kind"].(string)
	if !ok || apiVersion == "" || kind == "" {
		e := &Error{Definition: ev.id, Path: path, Message: "is not a Kubernetes object: it needs apiVersion and kind"}
		if pos := ev.value.LookupPath(cue.ParsePath(path)).Pos(); pos.IsValid() && pos.Filename() == ev.id {
			e.Line, e.Column = pos.Line(), pos.Column()
		}
		return nil, e
	}
	return m, nil
}

func (a *assembly) addOutputs(ev *evaluated, trait int) error {
	data, ok, err := ev.lookup("outputs")
	if err != nil || !ok {
		return err
	}
	m, _ := data.(map[string]any)
	for _, key := range sortedKeys(m) {
		o, err := object(ev, cue.MakePath(cue.Str("outputs"), cue.Str(key)).String(), m[key])
		if err != nil {
			return err
		}
		if o == nil {
			continue
		}
		a.Outputs = append(a.Outputs, keyed{Key: key, Trait: trait, Object: o})
	}
	return nil
}

// trait lets a trait change the component, and returns its parameters with the
// definition's defaults.
func (a *assembly) trait(index int, trait oamv1.ApplicationTrait) (json.RawMessage, error) {
	def, d, err := a.definitions.trait(trait.Type)
	if err != nil {
		return nil, err
	}
	if err := a.fits(def); err != nil {
		return nil, err
	}
	params := properties(trait.Properties)
	ev, err := a.run(d, params)
	if err != nil {
		return nil, err
	}
	if err := a.patch(ev); err != nil {
		return nil, err
	}
	return ev.withDefaults(params), a.addOutputs(ev, index)
}

// fits checks appliesToWorkloads and conflictsWith.
func (a *assembly) fits(def *oamv1.TraitDefinition) error {
	id := identify("TraitDefinition", def.Namespace, def.Name)
	u := unstructured.Unstructured{Object: a.Output}
	gvk := u.GroupVersionKind()
	applies := len(def.Spec.AppliesToWorkloads) == 0 || slices.ContainsFunc(def.Spec.AppliesToWorkloads, func(w string) bool {
		return w == "*" || w == a.spec.Type || w == "*."+gvk.Group || w == resourceName(gvk)
	})
	if !applies {
		return &Error{Definition: id, Path: "type", Message: fmt.Sprintf("the trait does not apply to components of type %q", a.spec.Type),
			Hint: fmt.Sprintf("it applies to %v", def.Spec.AppliesToWorkloads)}
	}
	for _, other := range a.spec.Traits {
		if other.Type != def.Name && slices.Contains(def.Spec.ConflictsWith, other.Type) {
			return &Error{Definition: id, Path: "type", Message: fmt.Sprintf("the trait cannot be used together with %q", other.Type)}
		}
	}
	return nil
}

func (a *assembly) patch(ev *evaluated) error {
	p := patcher{ev: ev}
	if v := ev.value.LookupPath(cue.ParsePath("patch")); v.Exists() {
		if a.Output == nil {
			return &Error{Definition: ev.id, Path: "patch", Message: "the component has no main object to patch"}
		}
		patched, err := p.apply(a.Output, v)
		if err != nil {
			return err
		}
		a.Output = patched
	}
	v := ev.value.LookupPath(cue.ParsePath("patchOutputs"))
	if !v.Exists() {
		return nil
	}
	it, err := v.Fields()
	if err != nil {
		return ev.explain(err)
	}
	for it.Next() {
		key := it.Selector().Unquoted()
		i := slices.IndexFunc(a.Outputs, func(o keyed) bool { return o.Key == key })
		if i < 0 {
			return &Error{Definition: ev.id, Path: "patchOutputs." + key, Message: "the component has no such output"}
		}
		if a.Outputs[i].Object, err = p.apply(a.Outputs[i].Object, it.Value()); err != nil {
			return err
		}
	}
	return nil
}
