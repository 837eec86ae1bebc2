// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

func TestPlanAddresses(t *testing.T) {
	cases := map[string]struct {
		reason string
		name   string
		taken  []netip.Prefix
		// Of the chosen set.
		node, pods, services string
	}{
		"First": {
			reason: "the default name gets Kubernetes' usual networks",
			name:   DefaultName, node: "10.98.0.2", pods: "10.244.0.0/16", services: "10.96.0.0/16",
		},
		"Other": {
			reason: "another name leaves set 0 to the first instance",
			name:   "e2e", node: "10.98.34.2", pods: "10.234.0.0/16", services: "10.184.0.0/16",
		},
		"PodsTaken": {
			reason: "one network in use makes the whole set unfit, and the next is taken",
			name:   DefaultName, taken: prefixes("10.244.7.0/24"), node: "10.98.1.2", pods: "10.201.0.0/16", services: "10.151.0.0/16",
		},
		"WideRoute": {
			reason: "a route that covers the services conflicts like one inside them",
			name:   DefaultName, taken: prefixes("10.96.0.0/11"), node: "", pods: "", services: "",
		},
		"Elsewhere": {
			reason: "a network outside 10.0.0.0/8 does not matter",
			name:   DefaultName, taken: prefixes("192.168.0.0/16"), node: "10.98.0.2", pods: "10.244.0.0/16", services: "10.96.0.0/16",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := PlanAddresses(c.name, c.taken)
			if c.node == "" {
				var conflict *AddressConflict
				if !errors.As(err, &conflict) {
					t.Fatalf("%s: got %v, %v; want an *AddressConflict", c.reason, got, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			want := []string{c.node, c.pods, c.services}
			if diff := cmp.Diff(want, []string{got.Node().String(), got.Pods.String(), got.Services.String()}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestAddressesOfASet(t *testing.T) {
	a := addressSet(0)
	got := []string{a.Machine().String(), a.Node().String(), a.Kubernetes().String(), a.DNS().String(), a.Server()}
	want := []string{"10.98.0.1", "10.98.0.2", "10.96.0.1", "10.96.0.10", "https://10.98.0.2:6443"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSetsDoNotOverlap(t *testing.T) {
	for i := range sets {
		for j := range i {
			b := addressSet(j)
			if c := addressSet(i).Conflict([]netip.Prefix{b.Link, b.Pods, b.Services}); c != nil {
				t.Errorf("sets %d and %d: %v", i, j, c)
			}
		}
	}
}

// Whatever the machine's routes and the name are: a plan never overlaps them, and is the
// same each time.
func FuzzPlanAddresses(f *testing.F) {
	f.Add("skerry", []byte{10, 244, 0, 16})
	f.Add("e2e", []byte{10, 98, 0, 15, 10, 201, 0, 16})
	f.Fuzz(func(t *testing.T, name string, routes []byte) {
		var taken []netip.Prefix
		for ; len(routes) >= 4; routes = routes[4:] {
			addr := netip.AddrFrom4([4]byte{routes[0], routes[1], routes[2], 0})
			taken = append(taken, netip.PrefixFrom(addr, 1+int(routes[3])%32).Masked())
		}
		plan, err := PlanAddresses(name, taken)
		again, againErr := PlanAddresses(name, taken)
		if plan != again || (err == nil) != (againErr == nil) {
			t.Fatalf("two plans for %q: %v and %v", name, plan, again)
		}
		if err != nil {
			return
		}
		if c := plan.Conflict(taken); c != nil {
			t.Errorf("plan for %q: %v", name, c)
		}
	})
}
