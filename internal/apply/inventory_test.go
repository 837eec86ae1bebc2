// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func entry(apiVersion, name string) Entry {
	return Entry{APIVersion: apiVersion, Kind: "Thing", Namespace: "ns", Name: name}
}

func TestInventories(t *testing.T) {
	a, b, c := entry("x/v1", "a"), entry("x/v1", "b"), entry("x/v1", "c")
	newer := entry("x/v2", "a")
	for name, c := range map[string]struct{ got, want Inventory }{
		"a union is sorted and has nothing twice":     {Union(Inventory{c, a}, Inventory{b, a}), Inventory{a, b, c}},
		"two versions of an object are one":           {Union(Inventory{a}, Inventory{newer}), Inventory{a}},
		"what is gone is the difference":              {Difference(Inventory{a, b, c}, Inventory{b}), Inventory{a, c}},
		"an object in another version is not gone":    {Difference(Inventory{a}, Inventory{newer}), Inventory{}},
		"the same name in another group is another":   {Difference(Inventory{a}, Inventory{entry("y/v1", "a")}), Inventory{a}},
		"the core group and another are not the same": {Difference(Inventory{entry("v1", "a")}, Inventory{a}), Inventory{entry("v1", "a")}},
		"nothing less nothing":                        {Difference(nil, nil), Inventory{}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
