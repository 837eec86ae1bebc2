// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// checkParameters finds the one thing that is wrong with the parameters, or nil. In
// this order, because each makes the next: a parameter that the definition does not
// have, a value that does not fit, one that is missing. with must have been
// evaluated with the parameters; without is the script as if there were none.
func checkParameters(with *evaluated, without func() (*evaluated, error), params json.RawMessage) error {
	declared := with.value.LookupPath(cue.ParsePath("parameter"))
	var values any
	if err := utiljson.Unmarshal(params, &values); err != nil {
		return &Error{Path: "properties", Message: "not JSON: " + err.Error()}
	}
	bare, err := without()
	if err != nil {
		return err
	}
	schema := bare.value.LookupPath(cue.ParsePath("parameter"))
	given, _ := values.(map[string]any)
	if !schema.Exists() {
		for _, name := range sortedKeys(given) {
			return &Error{Definition: with.id, Path: "properties." + name, Message: "the definition has no parameters"}
		}
		return nil
	}
	c := parameterCheck{ev: with, schema: schema, values: values}
	if err := c.unknown(schema, given, nil); err != nil {
		return err
	}
	return c.misfit(declared)
}

type parameterCheck struct {
	ev     *evaluated
	schema cue.Value
	values any
}

// unknown looks for fields that the schema, as far as it is one plain struct, has no
// place for. What a disjunction or a closed struct refuses, CUE itself says.
func (c parameterCheck) unknown(schema cue.Value, given map[string]any, path []string) error {
	if op, _ := schema.Expr(); op == cue.OrOp || !isStruct(schema) {
		return nil
	}
	if schema.LookupPath(cue.MakePath(cue.AnyString)).Exists() {
		return nil // open: ... or [string]: T
	}
	known := c.fields(schema, path)
	if len(known) == 0 && len(path) > 0 {
		return nil // {} stands for any struct
	}
	for _, name := range sortedKeys(given) {
		at := append(slices.Clone(path), name)
		if !slices.Contains(known, name) {
			return c.unknownField(at, known)
		}
		sub := child(schema, name)
		if err := c.unknownIn(sub, given[name], at); err != nil {
			return err
		}
	}
	return nil
}

func (c parameterCheck) unknownIn(schema cue.Value, given any, path []string) error {
	switch given := given.(type) {
	case map[string]any:
		return c.unknown(schema, given, path)
	case []any:
		elem := schema.LookupPath(cue.MakePath(cue.AnyIndex))
		for i, item := range given {
			if err := c.unknownIn(elem, item, append(slices.Clone(path), strconv.Itoa(i))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c parameterCheck) unknownField(path, known []string) *Error {
	hint := suggest(path[len(path)-1], known)
	if hint == "" && len(known) > 0 {
		hint = "there is " + strings.Join(known, ", ")
	}
	e := &Error{Definition: c.ev.id, Path: propertyPath(path), Message: "there is no such parameter", Hint: hint}
	if d, ok := c.declaration(path[:len(path)-1]); ok {
		e.Line, e.Column = d.Line(), d.Column()
	}
	return e
}

// declaration returns the place where the schema declares a parameter.
func (c parameterCheck) declaration(path []string) (token.Pos, bool) {
	v := schemaAt(c.schema, path)
	if pos := v.Pos(); v.Exists() && pos.IsValid() && pos.Filename() == c.ev.id {
		return pos, true
	}
	return token.NoPos, false
}

// fields returns the names that a struct has a place for. At the top it adds those
// that the template declares under conditions.
func (c parameterCheck) fields(schema cue.Value, path []string) []string {
	var names []string
	if op, branches := schema.Expr(); op == cue.OrOp {
		for _, b := range branches {
			names = append(names, c.fields(b, path)...)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	if it, err := schema.Fields(cue.Optional(true)); err == nil {
		for it.Next() {
			names = append(names, it.Selector().Unquoted())
		}
	}
	if len(path) > 0 {
		return names
	}
	for _, d := range c.ev.file.Decls {
		f, ok := d.(*ast.Field)
		if !ok || labelName(f.Label) != "parameter" {
			continue
		}
		ast.Walk(f.Value, func(n ast.Node) bool {
			if comp, ok := n.(*ast.Comprehension); ok {
				if s, ok := comp.Value.(*ast.StructLit); ok {
					names = append(names, fieldNames(s)...)
				}
			}
			_, nested := n.(*ast.Field)
			return !nested
		}, nil)
	}
	return names
}

func fieldNames(s *ast.StructLit) []string {
	var out []string
	for _, d := range s.Elts {
		if f, ok := d.(*ast.Field); ok {
			out = append(out, labelName(f.Label))
		}
	}
	return out
}

func labelName(l ast.Label) string {
	name, _, err := ast.LabelName(l)
	if err != nil {
		return ""
	}
	return name
}

// misfit reports a value that does not fit or is missing.
func (c parameterCheck) misfit(declared cue.Value) error {
	err := declared.Validate(cue.Concrete(true))
	if err == nil {
		return nil
	}
	var wrong, missing []errors.Error
	for _, e := range errors.Errors(err) {
		if _, present := valueAt(c.values, inParameter(e.Path())); present {
			wrong = append(wrong, e)
		} else {
			missing = append(missing, e)
		}
	}
	if len(wrong) > 0 {
		return c.wrong(wrong)
	}
	return c.missing(missing[0])
}

func (c parameterCheck) missing(e errors.Error) *Error {
	path := inParameter(e.Path())
	out := &Error{Definition: c.ev.id, Path: propertyPath(path), Message: "the parameter is required"}
	if want := source(schemaAt(c.schema, path)); want != "" {
		out.Message += ", expected " + want
	}
	if pos, ok := c.ev.position(e); ok {
		out.Line, out.Column = pos.Line(), pos.Column()
	}
	return out
}

// wrong reduces the errors to the one that matters. A disjunction gives one for each
// branch: when some branch takes the value that tells branches apart (usually `type`),
// the others' complaints about it say nothing.
func (c parameterCheck) wrong(all []errors.Error) *Error {
	placed := slices.DeleteFunc(slices.Clone(all), func(e errors.Error) bool { return len(e.InputPositions()) == 0 })
	if len(placed) == 0 {
		placed = all
	}
	tells := slices.DeleteFunc(slices.Clone(placed), func(e errors.Error) bool {
		_, literal := c.literal(e)
		return literal
	})
	if len(tells) > 0 && !samePath(placed) {
		placed = tells
	}
	first := slices.MaxFunc(placed, func(a, b errors.Error) int { return len(a.Path()) - len(b.Path()) })
	path := inParameter(first.Path())
	actual, _ := valueAt(c.values, path)
	out := &Error{Definition: c.ev.id, Path: propertyPath(path), Actual: describeAt(path, actual)}
	pos, ok := c.ev.position(first)
	if !ok { // a closed struct has no place for it
		return c.unknownField(path, c.fields(schemaAt(c.schema, path[:max(0, len(path)-1)]), path))
	}
	out.Line, out.Column = pos.Line(), pos.Column()
	out.Expected = source(schemaAt(c.schema, path))
	if out.Expected == "" {
		out.Expected = strings.Join(c.expected(placed, first.Path()), " | ")
	}
	return out
}

// expected returns what the script asks for at a path, as it is written there.
func (c parameterCheck) expected(errs []errors.Error, path []string) []string {
	var out []string
	for _, e := range errs {
		if !slices.Equal(e.Path(), path) {
			continue
		}
		if text := c.expression(e); text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		out = append(out, "another value")
	}
	return out
}

// literal returns the literal that an error says the value is not.
func (c parameterCheck) literal(e errors.Error) (string, bool) {
	pos, ok := c.ev.position(e)
	if !ok {
		return "", false
	}
	lit, ok := expressionAt(c.ev.file, pos).(*ast.BasicLit)
	if !ok {
		return "", false
	}
	return lit.Value, true
}

func (c parameterCheck) expression(e errors.Error) string {
	pos, ok := c.ev.position(e)
	if !ok {
		return ""
	}
	return formatNode(expressionAt(c.ev.file, pos))
}

func samePath(errs []errors.Error) bool {
	for _, e := range errs {
		if !slices.Equal(e.Path(), errs[0].Path()) {
			return false
		}
	}
	return true
}
