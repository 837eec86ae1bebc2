// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package render turns an OAM Application and its definitions (CUE) into objects, and
// the live objects into health: the pure half of station 7 of docs/flow.md. The engine
// (internal/oam) and the CLI share it, so what the CLI shows is what the engine does.
//
// A definition's template is CUE in the form that KubeVela made common:
//
//	parameter     what the Application may set
//	output        the component's main object
//	outputs       further objects, by key
//	patch         (traits) what to change in the main object
//	patchOutputs  (traits) what to change in the further objects, by key
//	errs          a list of messages; any message refuses the Application
//	context       given: see contextOf
//
// Differences to KubeVela, on purpose: a parameter that the definition does not know is
// an error, and so is every field of a template or an Application that this version
// would have to ignore.
package render

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// Input is everything that a render depends on.
type Input struct {
	Application *oamv1.Application
	Definitions Definitions
	// Cluster is the name of the cluster that the Application is in.
	Cluster string
	// ClusterVersion of its API server; becomes context.clusterVersion.
	ClusterVersion version.Info
	// Revision that the render is for; becomes context.appRevision and a label.
	Revision oamv1.Revision
	// Namespaced says whether a kind lives in namespaces. Nil means that only the
	// cluster-scoped kinds known to this package are not.
	Namespaced func(schema.GroupVersionKind) (bool, error)
	// Evaluator of the CUE; nil means this process, without limits.
	Evaluator Evaluator
}

// Result is a rendered Application.
type Result struct {
	Plan *Plan
	// Components in an order in which every one comes after what it depends on.
	Components []*Component
}

// Component is one rendered component.
type Component struct {
	Name      string
	Type      string
	DependsOn []string
	// Namespace that objects without one were put into.
	Namespace string
	// Kind of the main object, as rendered or else as the definition says.
	Kind oamv1.WorkloadGVK
	// Objects: the main one first when there is one, then the further ones.
	Objects []Object
	// Traits in the order of the Application.
	Traits []Trait

	status     *oamv1.Status
	definition definition
	context    map[string]any
	parameters json.RawMessage
}

// Trait is one rendered trait; its objects are among its component's.
type Trait struct {
	Type string

	status     *oamv1.Status
	definition definition
	parameters json.RawMessage
}

// Object is one rendered object.
type Object struct {
	*unstructured.Unstructured
	// Key in outputs; empty for the main object.
	Key string
	// Trait is the index in Component.Traits of the trait that made it, or -1.
	Trait int
}

// mostObjects of an Application: its inventory is one object of at most 1.5 MB.
const mostObjects = 4000

// Render renders an Application. The error is an *Error when one place of the Application
// or of a definition is to blame. Nothing is returned with an error: a half
// rendered Application must never be applied.
func Render(ctx context.Context, in Input) (*Result, error) {
	plan, err := Parse(in.Application, in.Cluster)
	if err != nil {
		return nil, err
	}
	q, err := in.question(plan)
	if err != nil {
		return nil, err
	}
	a, err := ask(ctx, in.Evaluator, question{Render: q})
	if err != nil {
		return nil, err
	}
	res := &Result{Plan: plan}
	seen, n := map[string]string{}, 0
	for i, comp := range plan.Components {
		c, err := in.place(plan, comp, a.Components[i])
		if err != nil {
			return nil, err
		}
		if n += len(c.Objects); n > mostObjects {
			return nil, &Error{Component: c.Name, Message: fmt.Sprintf("an Application may render %d objects, and this component is beyond that", mostObjects),
				Hint: "split the Application"}
		}
		for _, o := range c.Objects {
			id := fmt.Sprintf("%s %s/%s", o.GroupVersionKind().GroupKind(), o.GetNamespace(), o.GetName())
			maker, trait := fmt.Sprintf("component %q", c.Name), ""
			if o.Trait >= 0 {
				trait = c.Traits[o.Trait].Type
				maker = fmt.Sprintf("trait %q of component %q", trait, c.Name)
			}
			if other, taken := seen[id]; taken {
				return nil, &Error{Component: c.Name, Trait: trait, Message: fmt.Sprintf("renders %s %s, which %s renders too", o.GetKind(), o.GetName(), other),
					Hint: "give one of them another name, or leave one out"}
			}
			seen[id] = maker
		}
		res.Components = append(res.Components, c)
	}
	return res, nil
}

// question is what an evaluator must know. It fails when a definition is missing.
func (in Input) question(plan *Plan) (*renderQuestion, error) {
	app := *in.Application
	app.ManagedFields, app.Status = nil, oamv1.ApplicationStatus{}
	q := &renderQuestion{Application: &app, Cluster: in.Cluster, Version: in.ClusterVersion, Revision: in.Revision, Definitions: NewDefinitions()}
	for _, c := range plan.Components {
		def, _, err := in.Definitions.component(c.Type)
		if err != nil {
			return nil, blame(err, c.Name, "")
		}
		q.Definitions.Components[c.Type] = def
		for _, t := range c.Traits {
			def, _, err := in.Definitions.trait(t.Type)
			if err != nil {
				return nil, blame(err, c.Name, t.Type)
			}
			q.Definitions.Traits[t.Type] = def
		}
	}
	return q, nil
}

// Objects returns all objects of all components, in order.
func (r *Result) Objects() []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, c := range r.Components {
		out = append(out, c.Unstructured()...)
	}
	return out
}

// Unstructured returns the component's objects, in order.
func (c *Component) Unstructured() []*unstructured.Unstructured {
	out := make([]*unstructured.Unstructured, 0, len(c.Objects))
	for _, o := range c.Objects {
		out = append(out, o.Unstructured)
	}
	return out
}
