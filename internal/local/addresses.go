// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"hash/fnv"
	"net/netip"
)

// Addresses are the networks of one instance. All are IPv4.
type Addresses struct {
	// Link is the /30 between the machine (its first address) and the node (its second).
	Link netip.Prefix `json:"link"`
	// Pods is the range of Pod addresses, a /16.
	Pods netip.Prefix `json:"pods"`
	// Services is the range of ClusterIPs, a /16.
	Services netip.Prefix `json:"services"`
}

// Machine is the machine's end of the link.
func (a Addresses) Machine() netip.Addr { return nth(a.Link, 1) }

// Node is the node's address: of its API server, its kubelet and its host network Pods.
func (a Addresses) Node() netip.Addr { return nth(a.Link, 2) }

// Kubernetes is the ClusterIP of default/kubernetes, the first of the range.
func (a Addresses) Kubernetes() netip.Addr { return nth(a.Services, 1) }

// DNS is the ClusterIP of kube-system/kube-dns, the tenth of the range.
func (a Addresses) DNS() netip.Addr { return nth(a.Services, 10) }

// Server is the URL of the API server.
func (a Addresses) Server() string { return fmt.Sprintf("https://%s:%d", a.Node(), apiServerPort) }

// nth is the address n after the first of a prefix; n is small.
func nth(p netip.Prefix, n int) netip.Addr {
	addr := p.Masked().Addr()
	for range n {
		addr = addr.Next()
	}
	return addr
}

// sets is the number of address sets there are to choose from. Set 0 is the usual one
// of Kubernetes; the others take one /16 each from 10.151.0.0-10.190.0.0 (Services) and
// 10.201.0.0-10.240.0.0 (Pods).
const sets = 41

func addressSet(n int) Addresses {
	pods, services := 244, 96
	if n > 0 {
		pods, services = 200+n, 150+n
	}
	return Addresses{
		Link:     netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 98, byte(n), 0}), 30),
		Pods:     netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(pods), 0, 0}), 16),
		Services: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(services), 0, 0}), 16),
	}
}

// AddressConflict says that a network of the instance is in use on the machine.
type AddressConflict struct {
	Wanted netip.Prefix
	Taken  netip.Prefix
}

func (e *AddressConflict) Error() string {
	return fmt.Sprintf("network %s of the local platform overlaps %s, which this machine has a route to", e.Wanted, e.Taken)
}

// Conflict returns the first overlap of the instance's networks with taken, or nil.
func (a Addresses) Conflict(taken []netip.Prefix) *AddressConflict {
	for _, mine := range []netip.Prefix{a.Link, a.Pods, a.Services} {
		for _, other := range taken {
			if mine.Overlaps(other) {
				return &AddressConflict{Wanted: mine, Taken: other}
			}
		}
	}
	return nil
}

// PlanAddresses chooses the networks of a new instance: the preferred set of its name,
// else the next one that does not overlap any network in taken. The default name
// prefers set 0; others are spread by a hash of the name over the rest and never take
// set 0, so that the first instance finds it free.
func PlanAddresses(name string, taken []netip.Prefix) (Addresses, error) {
	first := 0
	if name != DefaultName {
		hash := fnv.New32a()
		hash.Write([]byte(name))
		first = 1 + int(hash.Sum32()%(sets-1))
	}
	var conflict *AddressConflict
	for i := range sets {
		n := (first + i) % sets
		if n == 0 && i > 0 {
			continue
		}
		set := addressSet(n)
		c := set.Conflict(taken)
		if c == nil {
			return set, nil
		}
		if conflict == nil {
			conflict = c
		}
	}
	return Addresses{}, fmt.Errorf("no free set of networks for %q in 10.96.0.0-10.244.255.255: %w", name, conflict)
}
