// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Another Application has the definitions of kinds watched already, so nobody wakes the one that begins to wait. What
// was defined after it had looked is seen all the same.
func TestAKindMayComeBeforeTheWait(t *testing.T) {
	watched := func() *watchedKind { return &watchedKind{users: map[types.NamespacedName]bool{}} }
	l := &liveObjects{
		kinds:    map[schema.GroupVersionKind]*watchedKind{crdKind: watched(), apiServiceKind: watched()},
		unserved: waitingForKinds{groups: map[types.NamespacedName]string{}},
	}
	for i, c := range []struct {
		group string
		again bool
	}{{"a.example.com", true}, {"a.example.com", false}, {"b.example.com", true}, {"b.example.com", false}} {
		again, err := l.awaitGroup(types.NamespacedName{Name: "app"}, c.group)
		if err != nil || (again > 0) != c.again {
			t.Errorf("look %d, for %s: the next one is in %s (%v); want one: %t", i+1, c.group, again, err, c.again)
		}
	}
}
