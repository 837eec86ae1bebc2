// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// Plan is a parsed Application: what to render, in which order and where to.
type Plan struct {
	// Components in dependency order; equal ones keep the order of the spec.
	Components []oamv1.ApplicationComponent
	// Namespace for objects that name none: the topology policy's or the Application's.
	Namespace string
	// RevisionLimit is the number of ApplicationRevisions to keep.
	RevisionLimit int
	// KeepLegacy keeps objects that the Application no longer renders until it is deleted.
	KeepLegacy bool

	// placed is the topology policy that has set Namespace.
	placed string
}

// Names end up in label values, of at most 63 characters: the component's as it is, the
// Application's with "-vN".
const (
	mostApplicationName = 56
	mostComponentName   = 63
)

// defaultRevisionLimit as in KubeVela.
const defaultRevisionLimit = 10

// Parse checks everything about an Application that needs no definition: names,
// dependencies, policies and the cluster that it is meant for. cluster is the name
// of the cluster that the Application is in.
func Parse(app *oamv1.Application, cluster string) (*Plan, error) {
	if w := app.Spec.Workflow; w != nil && (w.Ref != "" || len(w.Steps) > 0) {
		return nil, &Error{Path: "workflow", Message: "workflows are not part of this version",
			Hint: "order components with dependsOn and choose the place with a topology policy"}
	}
	if len(app.Name) > mostApplicationName {
		return nil, &Error{Path: "metadata.name", Message: fmt.Sprintf("the name has %d characters; an Application's name may have %d", len(app.Name), mostApplicationName)}
	}
	if name := app.Annotations[oamv1.AnnotationCluster]; !here(name, cluster) {
		return nil, elsewhere("metadata.annotations["+oamv1.AnnotationCluster+"]", name, cluster)
	}
	plan := &Plan{Namespace: app.Namespace, RevisionLimit: defaultRevisionLimit}
	for _, p := range app.Spec.Policies {
		if err := plan.policy(p, cluster); err != nil {
			return nil, err
		}
	}
	if err := checkComponents(app.Spec.Components, cluster); err != nil {
		return nil, err
	}
	ordered, err := order(app.Spec.Components)
	plan.Components = ordered
	return plan, err
}

// here reports whether a cluster's name means the cluster that we are in.
func here(name, cluster string) bool {
	return name == "" || name == oamv1.ClusterLocal || name == cluster
}

func elsewhere(path, name, cluster string) *Error {
	return &Error{Path: path, Message: fmt.Sprintf("the Application names the cluster %q but is in %q", name, cluster),
		Hint: fmt.Sprintf("apply it in %q, or name %q or %q here", name, cluster, oamv1.ClusterLocal)}
}

func (p *Plan) policy(policy oamv1.AppPolicy, cluster string) error {
	path := fmt.Sprintf("policies[%s]", policy.Name)
	var known any
	var apply func() error
	switch policy.Type {
	case "topology":
		t := &topology{}
		known, apply = t, func() error { return p.topology(t, path, cluster) }
	case "garbage-collect":
		g := &garbageCollect{}
		known, apply = g, func() error { p.garbageCollect(g); return nil }
	default:
		return &Error{Path: path, Message: fmt.Sprintf("policies of type %q are not part of this version; it has garbage-collect and topology", policy.Type)}
	}
	if policy.Properties != nil && len(policy.Properties.Raw) > 0 {
		dec := json.NewDecoder(strings.NewReader(string(policy.Properties.Raw)))
		dec.DisallowUnknownFields()
		if err := dec.Decode(known); err != nil {
			return &Error{Path: path + ".properties", Message: fmt.Sprintf("a %s policy of this version does not take this: %v", policy.Type, err)}
		}
	}
	return apply()
}

// topology are the properties of a topology policy that this version takes.
type topology struct {
	Clusters   []string `json:"clusters"`
	Namespace  string   `json:"namespace"`
	AllowEmpty bool     `json:"allowEmpty"`
}

func (p *Plan) topology(t *topology, path, cluster string) error {
	for i, name := range t.Clusters {
		if !here(name, cluster) {
			return elsewhere(fmt.Sprintf("%s.properties.clusters[%d]", path, i), name, cluster)
		}
	}
	if t.Namespace == "" {
		return nil
	}
	if p.placed != "" && p.Namespace != t.Namespace {
		return &Error{Path: path + ".properties.namespace", Message: fmt.Sprintf("%s already places the Application in namespace %q; this version deploys to one namespace", p.placed, p.Namespace)}
	}
	p.placed, p.Namespace = path, t.Namespace
	return nil
}

// garbageCollect are the properties of a garbage-collect policy that this version takes.
type garbageCollect struct {
	KeepLegacyResource       bool `json:"keepLegacyResource"`
	ApplicationRevisionLimit *int `json:"applicationRevisionLimit"`
}

func (p *Plan) garbageCollect(g *garbageCollect) {
	p.KeepLegacy = g.KeepLegacyResource
	if g.ApplicationRevisionLimit != nil {
		p.RevisionLimit = max(1, *g.ApplicationRevisionLimit)
	}
}

func checkComponents(comps []oamv1.ApplicationComponent, cluster string) error {
	if len(comps) == 0 {
		return &Error{Path: "components", Message: "the Application has no components", Hint: "add one, or delete the Application"}
	}
	seen := map[string]bool{}
	for _, c := range comps {
		if c.Name == "" || len(c.Name) > mostComponentName {
			return &Error{Component: c.Name, Path: "name", Message: fmt.Sprintf("a component's name has 1 to %d characters", mostComponentName)}
		}
		if problems := validation.IsValidLabelValue(c.Name); len(problems) > 0 {
			return &Error{Component: c.Name, Path: "name", Message: "the name becomes a label: " + problems[0]}
		}
		if seen[c.Name] {
			return &Error{Component: c.Name, Path: "name", Message: "two components have this name"}
		}
		seen[c.Name] = true
		switch {
		case len(c.Inputs) > 0 || len(c.Outputs) > 0:
			return &Error{Component: c.Name, Path: "inputs/outputs", Message: "passing values between components is not part of this version",
				Hint: "use dependsOn, and the trait service-binding for credentials"}
		case c.ExternalRevision != "":
			return &Error{Component: c.Name, Path: "externalRevision", Message: "external revisions are not part of this version"}
		}
		var p struct {
			TargetEnvironment any `json:"targetEnvironment"`
		}
		if c.Properties != nil && json.Unmarshal(c.Properties.Raw, &p) == nil {
			if name, ok := p.TargetEnvironment.(string); ok && !here(name, cluster) {
				return elsewhere("properties.targetEnvironment", name, cluster).in(c.Name, "")
			}
		}
	}
	return nil
}

// order sorts components so that each comes after what it depends on.
func order(comps []oamv1.ApplicationComponent) ([]oamv1.ApplicationComponent, error) {
	byName := map[string]oamv1.ApplicationComponent{}
	for _, c := range comps {
		byName[c.Name] = c
	}
	var out []oamv1.ApplicationComponent
	done, path := map[string]bool{}, []string{}
	var visit func(name string) error
	visit = func(name string) error {
		if done[name] {
			return nil
		}
		if i := slices.Index(path, name); i >= 0 {
			return &Error{Component: path[len(path)-1], Path: "dependsOn", Message: "components depend on each other in a circle: " +
				strings.Join(append(slices.Clone(path[i:]), name), " -> ")}
		}
		path = append(path, name)
		for _, dep := range byName[name].DependsOn {
			if _, ok := byName[dep]; !ok {
				return &Error{Component: name, Path: "dependsOn", Message: fmt.Sprintf("there is no component %q", dep),
					Hint: suggest(dep, slices.Collect(maps.Keys(byName)))}
			}
			if err := visit(dep); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		out = append(out, byName[name])
		return nil
	}
	for _, c := range comps {
		if err := visit(c.Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}
