// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Entry names one applied object.
type Entry struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// EntryOf names an object.
func EntryOf(o *unstructured.Unstructured) Entry {
	return Entry{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// String is KIND NAMESPACE/NAME, for messages.
func (e Entry) String() string {
	if e.Namespace == "" {
		return fmt.Sprintf("%s %s", e.Kind, e.Name)
	}
	return fmt.Sprintf("%s %s/%s", e.Kind, e.Namespace, e.Name)
}

// Object returns an empty object with the entry's identity.
func (e Entry) Object() *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(e.APIVersion)
	o.SetKind(e.Kind)
	o.SetNamespace(e.Namespace)
	o.SetName(e.Name)
	return o
}

// identity leaves the version out: an object served in two versions is one object.
func (e Entry) identity() Entry {
	gv, err := schema.ParseGroupVersion(e.APIVersion)
	if err == nil {
		e.APIVersion = gv.Group
	}
	return e
}

// Inventory is what was applied, sorted, without repetition.
type Inventory []Entry

// Of returns the inventory of the given objects.
func Of(objs ...*unstructured.Unstructured) Inventory {
	inv := make(Inventory, 0, len(objs))
	for _, o := range objs {
		inv = append(inv, EntryOf(o))
	}
	return Union(inv)
}

// Contains reports whether the object is in the inventory, in any version.
func (inv Inventory) Contains(e Entry) bool {
	return slices.ContainsFunc(inv, func(have Entry) bool { return have.identity() == e.identity() })
}

// Union merges inventories. The first version seen of an object wins.
func Union(invs ...Inventory) Inventory {
	seen := map[Entry]bool{}
	out := Inventory{}
	for _, inv := range invs {
		for _, e := range inv {
			if id := e.identity(); !seen[id] {
				seen[id] = true
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return strings.Compare(a.APIVersion+"|"+a.Kind+"|"+a.Namespace+"|"+a.Name, b.APIVersion+"|"+b.Kind+"|"+b.Namespace+"|"+b.Name)
	})
	return out
}

// Difference returns what is in a and not in b.
func Difference(a, b Inventory) Inventory {
	out := Inventory{}
	for _, e := range a {
		if !b.Contains(e) {
			out = append(out, e)
		}
	}
	return out
}
