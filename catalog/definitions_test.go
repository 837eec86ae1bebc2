// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"strings"
	"testing"

	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/catalog"
)

// Every definition says what it is for, and its template is formatted CUE that a
// person can read in the cluster.
func TestDefinitions(t *testing.T) {
	defs, err := catalog.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, d := range defs {
		kind := d.GetObjectKind().GroupVersionKind().Kind
		names[kind] += d.GetName() + " "
		if d.GetAnnotations()[oamv1.AnnotationDescription] == "" {
			t.Errorf("%s %s has no description", kind, d.GetName())
		}
		var schematic *oamv1.Schematic
		switch d := d.(type) {
		case *oamv1.ComponentDefinition:
			schematic = d.Spec.Schematic
		case *oamv1.TraitDefinition:
			schematic = d.Spec.Schematic
		case *oamv1.PolicyDefinition:
			schematic = d.Spec.Schematic
		}
		f, err := parser.ParseFile(d.GetName(), schematic.CUE.Template, parser.ParseComments)
		if err != nil {
			t.Errorf("%s %s: %v", kind, d.GetName(), err)
			continue
		}
		formatted, err := format.Node(f)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(schematic.CUE.Template); got != strings.TrimSpace(string(formatted)) {
			t.Errorf("the template of %s %s is not formatted; it should be\n%s", kind, d.GetName(), formatted)
		}
	}
	want := map[string]string{
		"ComponentDefinition": "k8s-objects postgresql redis webservice worker ",
		"TraitDefinition":     "expose gateway scaler service-binding ",
		"PolicyDefinition":    "garbage-collect topology ",
	}
	for kind, w := range want {
		if names[kind] != w {
			t.Errorf("%ss: got %q, want %q", kind, names[kind], w)
		}
	}
}
