// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strings"
)

// Error is one thing that is wrong with an Application or a definition.
type Error struct {
	// Component and Trait of the Application; Trait may be empty.
	Component, Trait string
	// Definition is KIND NAMESPACE/NAME, Line and Column the place in its template.
	Definition   string
	Line, Column int
	// Path is the field: properties.x in the Application, or a field of the template.
	Path string
	// Expected and Actual values, as CUE.
	Expected, Actual string
	// Message says what is wrong when Expected and Actual do not.
	Message string
	// Hint is the way out.
	Hint string
	// Err is set when it is the cluster that said no, so that trying again may help.
	Err error `json:"-"`
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Error is one line: where in the Application, what is wrong, where it is said.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Component != "" {
		fmt.Fprintf(&b, "component %q", e.Component)
		if e.Trait != "" {
			fmt.Fprintf(&b, ", trait %q", e.Trait)
		}
		b.WriteString(": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	if e.Message != "" {
		b.WriteString(e.Message)
	} else {
		fmt.Fprintf(&b, "expected %s, got %s", e.Expected, e.Actual)
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	if e.Definition != "" {
		b.WriteString(" (" + e.Definition)
		if e.Line > 0 {
			fmt.Fprintf(&b, ", line %d", e.Line)
		}
		b.WriteString(")")
	}
	return b.String()
}

// in returns the error with the component and trait that it happened in.
func (e *Error) in(component, trait string) *Error {
	e.Component, e.Trait = component, trait
	return e
}
