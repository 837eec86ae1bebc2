// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// Definitions are the definitions that an Application may use, by name: its
// namespace's before the platform's.
type Definitions struct {
	Components map[string]*oamv1.ComponentDefinition
	Traits     map[string]*oamv1.TraitDefinition
}

// NewDefinitions sorts ComponentDefinitions and TraitDefinitions by name, and passes over
// other objects. Of two with one name the later wins: give vela-system's first.
func NewDefinitions(objects ...client.Object) Definitions {
	d := Definitions{Components: map[string]*oamv1.ComponentDefinition{}, Traits: map[string]*oamv1.TraitDefinition{}}
	for _, o := range objects {
		switch o := o.(type) {
		case *oamv1.ComponentDefinition:
			d.Components[o.Name] = o
		case *oamv1.TraitDefinition:
			d.Traits[o.Name] = o
		}
	}
	return d
}

// definition is what the two kinds of definition have in common.
type definition struct {
	// id is KIND NAMESPACE/NAME, or KIND NAME for one that is not in a cluster.
	id       string
	name     string
	template string
}

func identify(kind, namespace, name string) string {
	if namespace == "" {
		return kind + " " + name
	}
	return kind + " " + namespace + "/" + name
}

func (d Definitions) component(name string) (*oamv1.ComponentDefinition, definition, error) {
	def, ok := d.Components[name]
	if !ok {
		return nil, definition{}, &Error{Path: "type", Hint: suggest(name, slices.Collect(maps.Keys(d.Components))),
			Message: fmt.Sprintf("there is no ComponentDefinition %q in the Application's namespace or in vela-system", name)}
	}
	id := identify("ComponentDefinition", def.Namespace, def.Name)
	tmpl, err := templateOf(id, def.Spec.Schematic)
	return def, definition{id: id, name: name, template: tmpl}, err
}

func (d Definitions) trait(name string) (*oamv1.TraitDefinition, definition, error) {
	def, ok := d.Traits[name]
	if !ok {
		return nil, definition{}, &Error{Path: "type", Hint: suggest(name, slices.Collect(maps.Keys(d.Traits))),
			Message: fmt.Sprintf("there is no TraitDefinition %q in the Application's namespace or in vela-system", name)}
	}
	id := identify("TraitDefinition", def.Namespace, def.Name)
	tmpl, err := templateOf(id, def.Spec.Schematic)
	return def, definition{id: id, name: name, template: tmpl}, err
}

func templateOf(id string, s *oamv1.Schematic) (string, error) {
	if s == nil || s.CUE == nil || s.CUE.Template == "" {
		return "", &Error{Definition: id, Path: "spec.schematic.cue.template",
			Message: "the definition has no CUE template; this version renders no other schematic"}
	}
	return s.CUE.Template, nil
}
