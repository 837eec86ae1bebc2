// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// nodeLink is the name of the node's end of the veth pair.
const nodeLink = "eth0"

// hostLink is the name of the machine's end. Link names have at most 15 bytes, so a
// long instance name is hashed.
func (l layout) hostLink() string {
	if len(l.name) <= 11 {
		return "sky-" + l.name
	}
	hash := fnv.New32a()
	hash.Write([]byte(l.name))
	return fmt.Sprintf("sky-%08x", hash.Sum32())
}

// takenNetworks are the networks that the machine has routes or addresses in, but for
// those through the instance's own link.
func takenNetworks(l layout) ([]netip.Prefix, error) {
	own := -1
	if link, err := netlink.LinkByName(l.hostLink()); err == nil {
		own = link.Attrs().Index
	}
	filter := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, filter, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, fmt.Errorf("listing the machine's routes: %w", err)
	}
	var taken []netip.Prefix
	for _, r := range routes {
		if r.LinkIndex == own || r.Dst == nil {
			continue
		}
		if p, ok := prefixOf(r.Dst); ok && p.Bits() > 0 {
			taken = append(taken, p)
		}
	}
	return taken, nil
}

// whole lists again while the kernel says that something has changed in the middle of the list,
// so that a part of it may be missing.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range 10 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	addr, ok := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones), ok
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// connect makes the network namespace, the link into it, the routes to Pods and
// Services, and the machine's nft table; each only when it is not there yet.
func connect(l layout, a Addresses) error {
	if err := ensureNamespace(l.netns()); err != nil {
		return err
	}
	ns, err := os.Open(l.netns())
	if err != nil {
		return err
	}
	defer ns.Close()
	machine, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer machine.Close()
	node, err := handleIn(ns)
	if err != nil {
		return err
	}
	defer node.Close()
	mtu := outsideMTU(machine)
	if _, err := machine.LinkByName(l.hostLink()); errors.As(err, &netlink.LinkNotFoundError{}) {
		pair := netlink.NewVeth(netlink.LinkAttrs{Name: l.hostLink(), MTU: mtu})
		pair.PeerName, pair.PeerMTU, pair.PeerNamespace = nodeLink, uint32(mtu), netlink.NsFd(int(ns.Fd()))
		if err := machine.LinkAdd(pair); err != nil {
			return fmt.Errorf("adding the link %s to the node: %w", l.hostLink(), err)
		}
	} else if err != nil {
		return err
	}
	if err := bring(machine, l.hostLink(), netip.PrefixFrom(a.Machine(), a.Link.Bits())); err != nil {
		return err
	}
	if err := bring(node, "lo", netip.Prefix{}); err != nil {
		return err
	}
	if err := bring(node, nodeLink, netip.PrefixFrom(a.Node(), a.Link.Bits())); err != nil {
		return err
	}
	if err := route(node, nodeLink, netip.MustParsePrefix("0.0.0.0/0"), a.Machine()); err != nil {
		return err
	}
	for _, to := range []netip.Prefix{a.Pods, a.Services} {
		if err := route(machine, l.hostLink(), to, a.Node()); err != nil {
			return err
		}
	}
	return setNAT(l, a)
}

// bring gives a link its address (if any) and sets it up.
func bring(h *netlink.Handle, name string, address netip.Prefix) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", name, err)
	}
	if address.IsValid() {
		if err := h.AddrReplace(link, &netlink.Addr{IPNet: ipNet(address)}); err != nil {
			return fmt.Errorf("giving %s the address %s: %w", name, address, err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting %s up: %w", name, err)
	}
	return nil
}

func route(h *netlink.Handle, link string, to netip.Prefix, via netip.Addr) error {
	l, err := h.LinkByName(link)
	if err != nil {
		return err
	}
	r := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(to), Gw: via.AsSlice()}
	if err := h.RouteReplace(r); err != nil {
		return fmt.Errorf("routing %s through %s: %w", to, link, err)
	}
	return nil
}

// outsideMTU is the MTU of the link that the default route takes, so that no packet
// of a Pod is too long for the way out; 1500 where there is no outside.
func outsideMTU(h *netlink.Handle) int {
	routes, err := whole(func() ([]netlink.Route, error) { return h.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return 1500
	}
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		if link, err := h.LinkByIndex(r.LinkIndex); err == nil {
			return link.Attrs().MTU
		}
	}
	return 1500
}

// disconnect removes what connect made. The namespace must hold no process any more.
func disconnect(l layout) error {
	var errs []error
	if link, err := netlink.LinkByName(l.hostLink()); err == nil {
		errs = append(errs, netlink.LinkDel(link))
	}
	errs = append(errs, removeNAT(l), removeNamespace(l.netns()))
	return errors.Join(errs...)
}
