// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// of is an object of a component that depends on others.
func of(component string, dependsOn ...string) oamv1.ManagedResource {
	m := oamv1.ManagedResource{Component: component, DependsOn: dependsOn}
	m.APIVersion, m.Kind, m.Name = "v1", "ConfigMap", component
	return m
}

func TestFirstToGo(t *testing.T) {
	web, api, db, cache := of("web", "api"), of("api", "db", "cache"), of("db"), of("cache")
	extra := of("api", "db", "cache")
	extra.Name = "more"
	for name, c := range map[string]struct{ all, now []oamv1.ManagedResource }{
		"nothing":                                  {nil, nil},
		"what nothing depends on goes first":       {[]oamv1.ManagedResource{db, api, web}, []oamv1.ManagedResource{web}},
		"then what only it depended on":            {[]oamv1.ManagedResource{db, api, extra, cache}, []oamv1.ManagedResource{api, extra}},
		"then the rest together":                   {[]oamv1.ManagedResource{db, cache}, []oamv1.ManagedResource{db, cache}},
		"what does not depend does not wait":       {[]oamv1.ManagedResource{of("x"), api, db}, []oamv1.ManagedResource{of("x"), api}},
		"a component does not wait for itself":     {[]oamv1.ManagedResource{of("a", "a")}, []oamv1.ManagedResource{of("a", "a")}},
		"a circle goes at once":                    {[]oamv1.ManagedResource{of("a", "b"), of("b", "a")}, []oamv1.ManagedResource{of("a", "b"), of("b", "a")}},
		"objects that nobody knows anything about": {[]oamv1.ManagedResource{of(""), db}, []oamv1.ManagedResource{of(""), db}},
	} {
		now, later := firstToGo(c.all)
		if diff := cmp.Diff(c.now, now); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if len(now)+len(later) != len(c.all) {
			t.Errorf("%s: %d objects became %d and %d", name, len(c.all), len(now), len(later))
		}
	}
}

func TestWhatADeletionWaitsFor(t *testing.T) {
	l := leaving{going: entriesOf([]oamv1.ManagedResource{of("web")}), later: entriesOf([]oamv1.ManagedResource{of("db")}),
		components: componentsOf([]oamv1.ManagedResource{of("db"), of("db")})}
	want := `waiting for the deletion of ConfigMap web; then component "db" goes, which it depends on`
	if got := l.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
