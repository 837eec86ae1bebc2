// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	jsonpatch "github.com/evanphx/json-patch/v5"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// patcher merges a trait's patch into an object. A field's comment may say how:
//
//	// +patchKey=name                 merge the list by this key of its elements
//	// +patchStrategy=retainKeys      where they differ, the patch wins
//	// +patchStrategy=replace         the patch replaces what is there
//	// +patchStrategy=jsonMergePatch  an RFC 7386 merge patch
//	// +patchStrategy=jsonPatch       `operations` is an RFC 6902 patch
//
// Without a comment structs are merged, lists are merged by index, and two different
// scalars are an error: a trait that means to overwrite has to say so. Below
// retainKeys a list without a patchKey is replaced.
type patcher struct {
	ev *evaluated
}

// tags are the instructions in a field's comments.
type tags struct {
	key      []string
	strategy string
}

const (
	strategyRetainKeys     = "retainKeys"
	strategyReplace        = "replace"
	strategyJSONPatch      = "jsonPatch"
	strategyJSONMergePatch = "jsonMergePatch"
)

func tagsOf(v cue.Value) tags {
	var t tags
	for _, group := range v.Doc() {
		for line := range strings.Lines(group.Text()) {
			line = strings.TrimSpace(line)
			if key, ok := strings.CutPrefix(line, "+patchKey="); ok {
				t.key = strings.Split(strings.TrimSpace(key), ",")
			}
			if strategy, ok := strings.CutPrefix(line, "+patchStrategy="); ok {
				t.strategy = strings.TrimSpace(strategy)
			}
		}
	}
	return t
}

// apply returns the object with the patch merged in. The object is not changed.
func (p patcher) apply(object map[string]any, patch cue.Value) (map[string]any, error) {
	out, err := p.merge(object, patch, false)
	if err != nil {
		return nil, err
	}
	m, ok := out.(map[string]any)
	if !ok {
		return nil, p.fail(patch, "the patch must be a struct")
	}
	return m, nil
}

func (p patcher) json(base any, patch cue.Value, strategy string) (any, error) {
	source := patch
	if strategy == strategyJSONPatch {
		source = patch.LookupPath(cue.ParsePath("operations"))
	}
	data, err := p.ev.decode(source)
	if err != nil {
		return nil, err
	}
	failed := func(err error) error { return p.fail(patch, strategy+": "+err.Error()) }
	doc, err := json.Marshal(base)
	if err != nil {
		return nil, fmt.Errorf("encoding the object to patch: %w", err)
	}
	if strategy == strategyJSONMergePatch {
		doc, err = jsonpatch.MergePatch(doc, mustJSON(data))
	} else {
		var operations jsonpatch.Patch
		if operations, err = jsonpatch.DecodePatch(mustJSON(data)); err == nil {
			doc, err = operations.Apply(doc)
		}
	}
	if err != nil {
		return nil, failed(err)
	}
	var out any
	if err := utiljson.Unmarshal(doc, &out); err != nil {
		return nil, failed(err)
	}
	return out, nil
}

// merge returns base with patch merged in. overwrite is set below a retainKeys.
func (p patcher) merge(base any, patch cue.Value, overwrite bool) (any, error) {
	t := tagsOf(patch)
	if operations := patch.LookupPath(cue.ParsePath("operations")); operations.Exists() && tagsOf(operations).strategy == strategyJSONPatch {
		t.strategy = strategyJSONPatch // CUE keeps the comment on `patch: operations: ...` with operations
	}
	switch {
	case t.strategy == strategyJSONPatch || t.strategy == strategyJSONMergePatch:
		return p.json(base, patch, t.strategy)
	case base == nil || t.strategy == strategyReplace:
		return p.ev.decode(patch)
	case t.strategy != "" && t.strategy != strategyRetainKeys:
		return nil, p.fail(patch, fmt.Sprintf("patchStrategy %q is unknown; there is retainKeys, replace, jsonPatch and jsonMergePatch", t.strategy))
	}
	overwrite = overwrite || t.strategy == strategyRetainKeys
	switch b := base.(type) {
	case map[string]any:
		if patch.IncompleteKind() == cue.StructKind {
			return p.mergeStruct(b, patch, overwrite)
		}
	case []any:
		if patch.IncompleteKind() == cue.ListKind && (len(t.key) > 0 || !overwrite) {
			return p.mergeList(b, patch, t, overwrite)
		}
	}
	value, err := p.ev.decode(patch)
	if err != nil || overwrite || equal(base, value) {
		return value, err
	}
	e := p.fail(patch, "")
	at := pathOf(patch)
	e.Message = fmt.Sprintf("the trait sets %s where the component has %s", describeAt(at, value), describeAt(at, base))
	e.Hint = "mark the field // +patchStrategy=retainKeys in the definition if the trait is to win"
	return nil, e
}

func (p patcher) mergeStruct(base map[string]any, patch cue.Value, overwrite bool) (any, error) {
	out := maps.Clone(base)
	it, err := patch.Fields()
	if err != nil {
		return nil, p.ev.explain(err)
	}
	for it.Next() {
		name := it.Selector().Unquoted()
		merged, err := p.merge(base[name], it.Value(), overwrite)
		if err != nil {
			return nil, err
		}
		out[name] = merged
	}
	return out, nil
}

func (p patcher) mergeList(base []any, patch cue.Value, t tags, overwrite bool) (any, error) {
	out := slices.Clone(base)
	it, err := patch.List()
	if err != nil {
		return nil, p.ev.explain(err)
	}
	for i := 0; it.Next(); i++ {
		at := i
		if len(t.key) > 0 {
			if at, err = p.find(out, it.Value(), t.key); err != nil {
				return nil, err
			}
		}
		if at < 0 || at >= len(out) {
			value, err := p.ev.decode(it.Value())
			if err != nil {
				return nil, err
			}
			out = append(out, value)
			continue
		}
		if out[at], err = p.merge(out[at], it.Value(), overwrite); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// find returns the index of the element with the same keys, or -1.
func (p patcher) find(list []any, patch cue.Value, keys []string) (int, error) {
	want := map[string]any{}
	for _, key := range keys {
		v := patch.LookupPath(cue.MakePath(cue.Str(key)))
		if !v.Exists() {
			return -1, p.fail(patch, fmt.Sprintf("the element has no %q, the patchKey of its list", key))
		}
		value, err := p.ev.decode(v)
		if err != nil {
			return -1, err
		}
		want[key] = value
	}
	return slices.IndexFunc(list, func(item any) bool {
		m, ok := item.(map[string]any)
		for key, value := range want {
			ok = ok && equal(m[key], value)
		}
		return ok
	}), nil
}

// pathOf is a value's path, list indices as elements of their own.
func pathOf(v cue.Value) []string {
	var out []string
	for _, sel := range v.Path().Selectors() {
		if sel.LabelType() == cue.IndexLabel {
			out = append(out, strconv.Itoa(sel.Index()))
			continue
		}
		out = append(out, sel.String())
	}
	return out
}

func (p patcher) fail(v cue.Value, message string) *Error {
	e := &Error{Definition: p.ev.id, Path: v.Path().String(), Message: message}
	if pos := v.Pos(); pos.IsValid() && pos.Filename() == p.ev.id {
		e.Line, e.Column = pos.Line(), pos.Column()
	}
	return e
}

// equal compares JSON data; 1 and 1.0 are the same.
func equal(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
