// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"regexp"
	"strings"
)

// refusal is an error of the API server without the values of the object, which may be a
// Secret's: errors end up in conditions, events and logs.
type refusal struct {
	text string
	err  error
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.err }

// dumped is how structured-merge-diff (typed/helpers.go) writes down a value that has another
// type than the schema: with all that is in it, to the end of the line.
var dumped = regexp.MustCompile(`(?m)&value\.valueUnstructured\{Value:(.*)$`)

func withoutValues(err error) error {
	text := dumped.ReplaceAllStringFunc(err.Error(), func(s string) string {
		return typeName(dumped.FindStringSubmatch(s)[1])
	})
	return &refusal{text: text, err: err}
}

// typeName says what kind of value begins like this in Go's notation.
func typeName(text string) string {
	switch {
	case strings.HasPrefix(text, "map["):
		return "an object"
	case strings.HasPrefix(text, "["):
		return "a list"
	case strings.HasPrefix(text, "true"), strings.HasPrefix(text, "false"):
		return "a boolean"
	case strings.HasPrefix(text, `"`):
		return "a string"
	case strings.HasPrefix(text, "interface {}(nil)"), strings.HasPrefix(text, "<nil>"):
		return "null"
	}
	return "a number"
}
