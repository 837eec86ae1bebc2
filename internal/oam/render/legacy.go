// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

// additions says what is known of the `+` at an offset of a script. CUE once had list
// addition and now has list.Concat; most definitions that exist still add. Whether
// an addition is one of lists is plain when an operand is a list literal; else it
// is learnt from an evaluation that fails there.
type additions map[int]meaning

type meaning int

const (
	unknown meaning = iota
	ofLists
	// ofOthers was tried as an addition of lists and still failed: the error of the
	// script as it is written is the one to show.
	ofOthers
)

// listPackage is the name that rewritten scripts import "list" under, so that it cannot
// clash with a field or an import called list.
const listPackage = "skerryList"

// rewrite changes the additions that are of lists to list.Concat, in place, and returns
// those that may be. Lines do not change.
func (a additions) rewrite(file *ast.File) (open []*ast.BinaryExpr) {
	used := false
	astutil.Apply(file, nil, func(c astutil.Cursor) bool {
		add, ok := c.Node().(*ast.BinaryExpr)
		if !ok || add.Op != token.ADD || isScalar(add.X) || isScalar(add.Y) {
			return true
		}
		if known := a[add.OpPos.Offset()]; known == ofOthers || known == unknown && !isList(add.X) && !isList(add.Y) {
			open = append(open, add)
			return true
		}
		used = true
		concat := &ast.SelectorExpr{X: ast.NewIdent(listPackage), Sel: ast.NewIdent("Concat")}
		c.Replace(&ast.CallExpr{Fun: concat, Args: []ast.Expr{&ast.ListLit{Elts: []ast.Expr{add.X, add.Y}}}})
		return true
	})
	if used {
		at := len(file.Preamble())
		if file.PackageName() == "" {
			at = 0
		}
		decl := &ast.ImportDecl{Specs: []*ast.ImportSpec{ast.NewImport(ast.NewIdent(listPackage), "list")}}
		file.Decls = slices.Insert(file.Decls, at, ast.Decl(decl))
	}
	return open
}

func isList(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.ListLit:
		return true
	case *ast.ParenExpr:
		return isList(x.X)
	case *ast.CallExpr:
		sel, ok := x.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		id, ok := sel.X.(*ast.Ident)
		return ok && id.Name == listPackage
	}
	return false
}

func isScalar(x ast.Expr) bool {
	switch x.(type) {
	case *ast.BasicLit, *ast.Interpolation:
		return true
	}
	return false
}

// learn takes note of the open additions that an evaluation failed at, and reports
// whether evaluating again may help.
func (a additions) learn(open []*ast.BinaryExpr, filename string, err error) bool {
	failed := map[int]bool{}
	for _, e := range errors.Errors(err) {
		for _, p := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
			if p.IsValid() && p.Filename() == filename {
				failed[p.Offset()] = true
			}
		}
	}
	learnt := false
	for _, add := range open {
		at := add.OpPos.Offset()
		if a[at] == unknown && (failed[at] || failed[add.Pos().Offset()]) {
			a[at] = ofLists
			learnt = true
		}
	}
	return learnt
}
