// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package catalog holds what applications can ask for: definitions (CUE), the charts behind
// them, and source templates. Everything is embedded.
package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

//go:embed all:definitions
var definitionFiles embed.FS

// Definitions returns the platform's ComponentDefinitions, TraitDefinitions and
// PolicyDefinitions, to be applied in namespace vela-system. They come from
// definitions/{component,trait,policy}/NAME.cue, in the form that `vela def` reads:
//
//	NAME: {type, description, attributes}   the definition's name and spec
//	template: {...}                         its CUE template
func Definitions() ([]client.Object, error) {
	var out []client.Object
	err := fs.WalkDir(definitionFiles, "definitions", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(file) != ".cue" {
			return err
		}
		source, err := definitionFiles.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading embedded definition %s: %w", file, err)
		}
		def, err := ParseDefinition(path.Base(file), source)
		if err != nil {
			return err
		}
		out = append(out, def)
		return nil
	})
	return out, err
}

// header is the part of a definition's file that is not its template.
type header struct {
	Type        string            `json:"type"`
	Description string            `json:"description"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Attributes  cue.Value         `json:"attributes"`
}

// ParseDefinition reads one definition; file is its name for errors. It returns a
// ComponentDefinition, a TraitDefinition or a PolicyDefinition without a namespace.
func ParseDefinition(file string, source []byte) (client.Object, error) {
	parsed, err := parser.ParseFile(file, source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parsing definition %s: %w", file, err)
	}
	name, head, template, err := split(parsed, source)
	if err != nil {
		return nil, fmt.Errorf("definition %s: %w", file, err)
	}
	v := cuecontext.New().BuildExpr(head)
	var h header
	if err := v.Decode(&h); err != nil {
		return nil, fmt.Errorf("definition %s: reading the header: %w", file, err)
	}
	meta := metav1.ObjectMeta{Name: name, Labels: h.Labels, Annotations: map[string]string{oamv1.AnnotationDescription: h.Description}}
	for k, v := range h.Annotations {
		meta.Annotations[k] = v
	}
	schematic := &oamv1.Schematic{CUE: &oamv1.CUE{Template: template}}
	var def client.Object
	switch h.Type {
	case "component":
		d := &oamv1.ComponentDefinition{TypeMeta: typeMeta("ComponentDefinition"), ObjectMeta: meta}
		err = h.Attributes.Decode(&d.Spec)
		d.Spec.Schematic = schematic
		def = d
	case "trait":
		d := &oamv1.TraitDefinition{TypeMeta: typeMeta("TraitDefinition"), ObjectMeta: meta}
		err = h.Attributes.Decode(&d.Spec)
		d.Spec.Schematic = schematic
		def = d
	case "policy":
		d := &oamv1.PolicyDefinition{TypeMeta: typeMeta("PolicyDefinition"), ObjectMeta: meta}
		err = h.Attributes.Decode(&d.Spec)
		d.Spec.Schematic = schematic
		def = d
	default:
		return nil, fmt.Errorf("definition %s: type %q is none of component, trait and policy", file, h.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("definition %s: reading attributes: %w", file, err)
	}
	return def, nil
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: oamv1.GroupVersion.String(), Kind: kind}
}

// split returns the name and the header of a definition, and its template as text: the
// imports of the file and the fields inside `template`, one indentation less.
func split(file *ast.File, source []byte) (name string, head ast.Expr, template string, err error) {
	var b strings.Builder
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.ImportDecl:
			b.Write(source[d.Pos().Offset():d.End().Offset()])
			b.WriteString("\n\n")
		case *ast.Field:
			label, _, err := ast.LabelName(d.Label)
			if err != nil {
				return "", nil, "", fmt.Errorf("reading a label: %w", err)
			}
			if label != "template" {
				name, head = label, d.Value
				continue
			}
			body, ok := d.Value.(*ast.StructLit)
			if !ok {
				return "", nil, "", fmt.Errorf("template is not a struct")
			}
			text := string(source[body.Lbrace.Offset()+1 : body.Rbrace.Offset()])
			for line := range strings.Lines(strings.Trim(text, "\n")) {
				b.WriteString(strings.TrimPrefix(line, "\t"))
			}
			b.WriteString("\n")
		}
	}
	if head == nil || b.Len() == 0 {
		return "", nil, "", fmt.Errorf("it needs a header (NAME: {...}) and a template")
	}
	return name, head, b.String(), nil
}
