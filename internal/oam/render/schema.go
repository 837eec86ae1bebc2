// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/token"
)

// expressionAt returns the smallest expression that begins at a place.
func expressionAt(file *ast.File, pos token.Pos) (found ast.Expr) {
	ast.Walk(file, func(n ast.Node) bool {
		if x, ok := n.(ast.Expr); ok && x.Pos().IsValid() && x.Pos().Offset() == pos.Offset() {
			found = x
		}
		return true
	}, nil)
	return found
}

func formatNode(n ast.Expr) string {
	if n == nil {
		return ""
	}
	b, err := format.Node(n, format.Simplify())
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

// source is a schema as CUE on one line.
func source(v cue.Value) string {
	if !v.Exists() {
		return ""
	}
	if kind := v.IncompleteKind(); kind == cue.StructKind || kind == cue.ListKind {
		return "a " + kind.String()
	}
	x, ok := v.Syntax(cue.Raw()).(ast.Expr)
	if text := choices(x); ok && text != "" && len(text) <= 80 {
		return text
	}
	return v.IncompleteKind().String()
}

// choices is what a value may be, without saying which is the default: *"a" | "b" is
// "a" | "b", and *"1Gi" | string is string.
func choices(x ast.Expr) string {
	var plain, defaults []string
	var collect func(ast.Expr)
	typed := false
	collect = func(x ast.Expr) {
		switch y := x.(type) {
		case *ast.BinaryExpr:
			if y.Op == token.OR {
				collect(y.X)
				collect(y.Y)
				return
			}
		case *ast.UnaryExpr:
			if y.Op == token.MUL {
				defaults = append(defaults, formatNode(y.X))
				return
			}
		}
		if _, literal := x.(*ast.BasicLit); !literal {
			typed = true
		}
		plain = append(plain, formatNode(x))
	}
	collect(x)
	if !typed {
		plain = append(defaults, plain...)
	}
	return strings.Join(plain, " | ")
}

// schemaAt follows a path of names and list indices through a schema.
func schemaAt(schema cue.Value, path []string) cue.Value {
	for _, p := range path {
		if schema.IncompleteKind()&cue.ListKind != 0 {
			schema = schema.LookupPath(cue.MakePath(cue.AnyIndex))
			continue
		}
		schema = child(schema, p)
	}
	return schema
}

func child(schema cue.Value, name string) cue.Value {
	for _, sel := range []cue.Selector{cue.Str(name), cue.Str(name).Optional(), cue.Str(name).Required(), cue.AnyString} {
		if v := schema.LookupPath(cue.MakePath(sel)); v.Exists() {
			return v
		}
	}
	return cue.Value{}
}

func isStruct(v cue.Value) bool { return v.IncompleteKind()&cue.StructKind != 0 }

// valueAt follows a path through the parameters as given.
func valueAt(v any, path []string) (any, bool) {
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			sub, ok := x[p]
			if !ok {
				return nil, false
			}
			v = sub
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// describeAt is describe, but of a value that may be a secret it tells only the type.
func describeAt(path []string, v any) string {
	if mayBeSecret(path) {
		return "a value of type " + kindOf(v)
	}
	return describe(v)
}

// mayBeSecret goes by the field's name. Values of environment variables count: people
// put passwords there.
func mayBeSecret(path []string) bool {
	for i, p := range path {
		p = strings.ToLower(p)
		if strings.Contains(p, "password") || strings.Contains(p, "token") || strings.Contains(p, "secret") ||
			p == "value" && i == len(path)-1 && slices.Contains(path, "env") {
			return true
		}
	}
	return false
}

// describe is a scalar as CUE with its type; of anything larger it is only the type,
// because nobody knows what is in it.
func describe(v any) string {
	kind := kindOf(v)
	switch kind {
	case "null":
		return kind
	case "list", "struct":
		return "a " + kind
	}
	text := string(mustJSON(v))
	if len(text) > 80 {
		text = text[:77] + "..."
	}
	return text + " (" + kind + ")"
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case int64:
		return "int"
	case float64:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "list"
	case map[string]any:
		return "struct"
	}
	return "null"
}

// inParameter drops the leading `parameter` of an error's path.
func inParameter(path []string) []string {
	if len(path) > 0 && path[0] == "parameter" {
		return path[1:]
	}
	return path
}

func propertyPath(path []string) string { return pathString(append([]string{"properties"}, path...)) }

// pathString writes list indices in brackets.
func pathString(path []string) string {
	var b strings.Builder
	for i, p := range path {
		if _, err := strconv.Atoi(p); err == nil && i > 0 {
			fmt.Fprintf(&b, "[%s]", p)
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		if p, err := strconv.Unquote(p); err == nil {
			b.WriteString(p)
			continue
		}
		b.WriteString(p)
	}
	return b.String()
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
