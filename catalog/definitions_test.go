// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
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

// Every parameter says what it is for, at any depth: a person reads it in the cluster, and
// `vela show` and the CLI print it.
func TestEveryParameterHasItsUsage(t *testing.T) {
	defs, err := catalog.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range defs {
		var template string
		switch d := d.(type) {
		case *oamv1.ComponentDefinition:
			template = d.Spec.Schematic.CUE.Template
		case *oamv1.TraitDefinition:
			template = d.Spec.Schematic.CUE.Template
		case *oamv1.PolicyDefinition:
			template = d.Spec.Schematic.CUE.Template
		}
		file, err := parser.ParseFile(d.GetName(), template, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.Field); ok && (label(f) == "parameter" || strings.HasPrefix(label(f), "#")) {
				withoutUsage(f.Value, label(f), func(path string) { t.Errorf("%s: %s has no +usage", d.GetName(), path) })
			}
		}
	}
}

// withoutUsage tells the fields inside an expression that have no usage.
func withoutUsage(x ast.Node, path string, tell func(string)) {
	ast.Walk(x, func(n ast.Node) bool {
		f, ok := n.(*ast.Field)
		if !ok {
			return true
		}
		if _, pattern := f.Label.(*ast.ListLit); pattern {
			return true
		}
		at := path + "." + label(f)
		usage := false
		for _, group := range ast.Comments(f) {
			usage = usage || strings.Contains(group.Text(), "+usage=")
		}
		if !usage {
			tell(at)
		}
		withoutUsage(f.Value, at, tell)
		return false
	}, nil)
}

func label(f *ast.Field) string {
	name, _, err := ast.LabelName(f.Label)
	if err != nil {
		return ""
	}
	return name
}
