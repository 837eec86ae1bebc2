// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"fmt"
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	cuejson "cuelang.org/go/encoding/json"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// script is one piece of CUE of a definition with what it is given: a template, or
// one of the fields of its status.
type script struct {
	// id names the piece in errors; it is also the file name of its positions.
	id     string
	source string
	given  []given
}

// given is a top-level field that the script sees.
type given struct {
	name string
	data []byte // JSON
}

// evaluated is a script after evaluation. The value may hold errors.
type evaluated struct {
	script
	file  *ast.File
	value cue.Value
}

// evaluate parses and evaluates. The error is for what is wrong whatever one looks at:
// syntax, imports, names that nobody declares. A list addition of older CUE is
// evaluated as what it meant (see legacy.go).
func (s script) evaluate() (*evaluated, error) {
	lists := additions{}
	for {
		file, err := s.parse()
		if err != nil {
			return nil, err
		}
		open := lists.rewrite(file)
		v, err := s.build(file)
		if err != nil {
			return nil, err
		}
		if len(open) == 0 || !lists.learn(open, s.id, v.Validate()) {
			return &evaluated{script: s, file: file, value: v}, nil
		}
	}
}

func (s script) parse() (*ast.File, error) {
	file, err := parser.ParseFile(s.id, s.source, parser.ParseComments)
	if err != nil {
		first := errors.Errors(err)[0]
		pos := first.Position()
		return nil, &Error{Definition: s.id, Line: pos.Line(), Column: pos.Column(), Message: "syntax error: " + bare(first)}
	}
	return file, nil
}

// build evaluates the file together with what is given. Each is a file of one package,
// so that the script's names resolve to what is given, and lines stay the script's.
func (s script) build(file *ast.File) (cue.Value, error) {
	inst := build.NewContext().NewInstance("", nil)
	if file.PackageName() == "" {
		file.Decls = slices.Insert(file.Decls, 0, ast.Decl(&ast.Package{Name: ast.NewIdent("template")}))
	}
	files := []*ast.File{file}
	for _, g := range s.given {
		expr, err := cuejson.Extract(g.name, g.data)
		if err != nil {
			return cue.Value{}, &Error{Definition: s.id, Path: g.name, Message: "not JSON: " + err.Error()}
		}
		files = append(files, &ast.File{Filename: g.name, Decls: []ast.Decl{
			&ast.Package{Name: ast.NewIdent(file.PackageName())},
			&ast.Field{Label: ast.NewIdent(g.name), Value: expr},
		}})
	}
	for _, f := range files {
		if err := inst.AddSyntax(f); err != nil {
			return cue.Value{}, s.explain(err)
		}
	}
	v := cuecontext.New().BuildInstance(inst)
	if inst.Err != nil {
		return cue.Value{}, s.explain(inst.Err)
	}
	if err := v.Err(); err != nil && !v.Exists() {
		return cue.Value{}, s.explain(err)
	}
	return v, nil
}

// lookup returns a field that must be concrete as JSON data: map[string]any, []any,
// string, bool, int64 or float64; ok is false when the script does not have it.
func (ev *evaluated) lookup(field string) (data any, ok bool, err error) {
	v := ev.value.LookupPath(cue.ParsePath(field))
	if !v.Exists() {
		return nil, false, nil
	}
	data, err = ev.decode(v)
	return data, true, err
}

// explain also finds a place for an error that has only a path.
func (ev *evaluated) explain(err error) error {
	out := ev.script.explain(err)
	e, ok := out.(*Error)
	if !ok || e.Line > 0 {
		return out
	}
	pos := ev.value.LookupPath(cue.ParsePath(e.Path)).Pos()
	if pos.IsValid() && pos.Filename() == ev.id {
		e.Line, e.Column = pos.Line(), pos.Column()
	}
	return e
}

func (ev *evaluated) decode(v cue.Value) (any, error) {
	raw, err := v.MarshalJSON()
	if err != nil {
		// MarshalJSON stops at the first error; Validate knows all of them.
		if all := v.Validate(cue.Concrete(true), cue.Final()); all != nil {
			err = all
		}
		return nil, ev.explain(err)
	}
	var data any
	if err := utiljson.Unmarshal(raw, &data); err != nil {
		return nil, fmt.Errorf("decoding %s of %s: %w", v.Path(), ev.id, err)
	}
	return data, nil
}

// explain picks the one error that is to be shown: one with a place in the script
// before one without, the cause before what follows from it.
func (s script) explain(err error) error {
	all := errors.Errors(err)
	best, bestRank := all[0], -1
	for _, e := range all {
		if r := s.rank(e); r > bestRank {
			best, bestRank = e, r
		}
	}
	out := &Error{Definition: s.id, Path: pathString(best.Path()), Message: bare(best)}
	if mayBeSecret(best.Path()) {
		out.Message = "the value does not fit; it is not shown because it may be a secret"
	}
	if pos, ok := s.position(best); ok {
		out.Line, out.Column = pos.Line(), pos.Column()
	}
	return out
}

func (s script) rank(e errors.Error) int {
	r := min(len(e.Path()), 20)
	if _, ok := s.position(e); ok {
		r += 100
	}
	if len(e.InputPositions()) > 0 {
		r += 50
	}
	return r
}

// position returns the place in the script that an error speaks of.
func (s script) position(e errors.Error) (token.Pos, bool) {
	for _, p := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
		if p.IsValid() && p.Filename() == s.id {
			return p, true
		}
	}
	return token.NoPos, false
}

// bare is an error's message without its path.
func bare(e errors.Error) string {
	format, args := e.Msg()
	return fmt.Sprintf(format, args...)
}

func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("render: %T is not JSON: %v", v, err)) // only maps, strings and numbers get here
	}
	return raw
}
