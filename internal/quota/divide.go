// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Share is one host namespace's part of the total, as the host has it.
type Share struct {
	Namespace string
	// Spec and Enforced are the ResourceQuota's spec.hard and status.hard. The API server
	// admits by the second, which follows the first. nil: there is none (yet).
	Spec, Enforced corev1.ResourceList
	// Used is its status.used.
	Used corev1.ResourceList
	// Leaving says that the namespace is being deleted: it gets nothing more.
	Leaving bool
	// Asks that were refused here and are still open.
	Asks []Ask
}

// Ask is something that a share had no room for.
type Ask struct {
	Requested corev1.ResourceList
	Since     time.Time
	// Stale says that it was not repeated lately: it may be given up.
	Stale bool
}

// Division is what Divide decided.
type Division struct {
	// Hard is the spec.hard to write, by namespace; those that stay as they are are left out.
	Hard map[string]corev1.ResourceList
	// Unmet are asks for more than is left of the total, by namespace.
	Unmet map[string]Ask
}

// Divide gives each namespace what it uses, then what was asked for and fits (stale asks
// last, else the oldest first), then a part of what is left: half of it equally to all, half to those that asked. It
// decides anew only when a namespace is short, so that not every Pod moves all shares.
//
// What keeps the total safe: a share is raised only by what no other share can still
// take, and a share can take the highest of its Spec, Enforced and Used until the API server
// is seen to enforce less. So a raise may come in a later call than the lowering that pays
// for it. shares must be as the API server has them, or nothing may be written.
func Divide(total corev1.ResourceList, shares []Share) Division {
	d := division{total: amountsOf(total, total), shares: make([]*part, len(shares))}
	for i := range shares {
		d.shares[i] = newPart(total, &shares[i])
	}
	out := Division{Hard: map[string]corev1.ResourceList{}, Unmet: d.admit(total)}
	d.spread()
	if !d.due() {
		return out
	}
	d.settle()
	for _, p := range d.shares {
		if p.Leaving && p.Spec == nil {
			continue
		}
		if want := p.next.list(total); !p.known || !p.next.equal(p.spec) {
			out.Hard[p.Namespace] = want
		}
	}
	return out
}

// amounts are quantities as integers: CPU in thousandths, everything else in units.
type amounts map[corev1.ResourceName]int64

func amountsOf(total, l corev1.ResourceList) amounts {
	out := amounts{}
	for name := range total {
		q := l[name]
		if name == corev1.ResourceLimitsCPU {
			out[name] = q.MilliValue()
		} else {
			out[name] = q.Value()
		}
	}
	return out
}

func (a amounts) list(total corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, v := range a {
		of := total[name]
		if name == corev1.ResourceLimitsCPU {
			out[name] = *resource.NewMilliQuantity(v, of.Format)
		} else {
			out[name] = *resource.NewQuantity(v, of.Format)
		}
	}
	return out
}

func (a amounts) equal(b amounts) bool {
	for name, v := range a {
		if b[name] != v {
			return false
		}
	}
	return true
}

// grain is what parts of the rest are rounded down to, for figures that people can read.
func grain(name corev1.ResourceName) int64 {
	if name == corev1.ResourceLimitsCPU {
		return 1
	}
	return 1 << 20
}

// part is one Share while it is decided about.
type part struct {
	*Share
	known       bool // Spec names exactly the resources of the total
	spec, used  amounts
	reach       amounts // the most it can take before anything is written
	need, extra amounts // beyond used
	next        amounts // the spec.hard to be
}

func newPart(total corev1.ResourceList, s *Share) *part {
	p := &part{Share: s, spec: amountsOf(total, s.Spec), used: amountsOf(total, s.Used), need: amounts{}, extra: amounts{}, reach: amounts{}, next: amounts{}}
	p.known = s.Spec != nil && len(s.Spec) == len(total)
	enforced := amountsOf(total, s.Enforced)
	for name := range total {
		if _, ok := s.Spec[name]; !ok {
			p.known = false
		}
		p.reach[name] = max(p.spec[name], enforced[name], p.used[name])
	}
	return p
}

func (p *part) asks() bool { return len(p.need) > 0 }

type division struct {
	total  amounts
	free   amounts // what nobody uses and nobody was promised
	shares []*part
}

// admit promises what is asked for, in the order of Divide, and returns what does not fit.
func (d *division) admit(total corev1.ResourceList) map[string]Ask {
	d.free = amounts{}
	for name, v := range d.total {
		d.free[name] = v
		for _, p := range d.shares {
			d.free[name] -= p.used[name]
		}
	}
	type open struct {
		*part
		Ask
	}
	var asks []open
	for _, p := range d.shares {
		for _, a := range p.Asks {
			if !p.Leaving {
				asks = append(asks, open{p, a})
			}
		}
	}
	slices.SortStableFunc(asks, func(a, b open) int {
		return cmp.Or(trueFirst(!a.Stale, !b.Stale), a.Since.Compare(b.Since), cmp.Compare(a.Namespace, b.Namespace))
	})
	unmet := map[string]Ask{}
	for _, a := range asks {
		want := amountsOf(total, a.Requested)
		if !d.fits(want) {
			if _, told := unmet[a.Namespace]; !told {
				unmet[a.Namespace] = a.Ask
			}
			continue
		}
		for name, v := range want {
			a.need[name] += v
			d.free[name] -= v
		}
	}
	return unmet
}

func (d *division) fits(want amounts) bool {
	for name, v := range want {
		if v > 0 && v > d.free[name] {
			return false
		}
	}
	return true
}

// spread parts what is left.
func (d *division) spread() {
	var staying, asking int64
	for _, p := range d.shares {
		if !p.Leaving {
			staying++
			if p.asks() {
				asking++
			}
		}
	}
	for name, left := range d.free {
		left = max(0, left)
		for _, p := range d.shares {
			if p.Leaving {
				continue
			}
			extra := left / staying
			if asking > 0 {
				extra = left / 2 / staying
				if p.asks() {
					extra += left / 2 / asking
				}
			}
			p.extra[name] = extra - extra%grain(name)
		}
	}
}

// due says whether anything is to be decided anew: a share is missing or short, or
// together they are above the total.
func (d *division) due() bool {
	for name, most := range d.total {
		for _, p := range d.shares {
			most -= p.spec[name]
			if p.Leaving {
				continue
			}
			room, enough := p.spec[name]-p.used[name], p.need[name]
			if !p.asks() {
				enough = p.extra[name] / 4
			}
			if !p.known || room < enough {
				return true
			}
		}
		if most < 0 {
			return true
		}
	}
	return false
}

// settle lowers at once, and raises as far as the rest cannot be taken by anybody; those
// that asked come first.
func (d *division) settle() {
	order := slices.Clone(d.shares)
	slices.SortStableFunc(order, func(a, b *part) int {
		return cmp.Or(trueFirst(a.asks(), b.asks()), cmp.Compare(a.Namespace, b.Namespace))
	})
	for name, spare := range d.total {
		for _, p := range d.shares {
			spare -= p.reach[name]
		}
		for _, p := range order {
			want := p.used[name] + p.need[name] + p.extra[name]
			if want > p.spec[name] {
				want = min(want, p.reach[name]+max(0, spare)) // what it can take anyway costs nothing
				spare -= max(0, want-p.reach[name])
			}
			p.next[name] = want
		}
	}
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
