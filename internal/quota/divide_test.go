// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func cpu(s string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceLimitsCPU: resource.MustParse(s)}
}

func at(minute int) time.Time { return time.Date(2026, 11, 23, 12, minute, 0, 0, time.UTC) }

// settled is a share that the host enforces as it is written.
func settled(namespace, hard, used string, asks ...Ask) Share {
	return Share{Namespace: namespace, Spec: cpu(hard), Enforced: cpu(hard), Used: cpu(used), Asks: asks}
}

func ask(requested string, minute int) Ask { return Ask{Requested: cpu(requested), Since: at(minute)} }

func TestDivide(t *testing.T) {
	lowering := settled("a", "500m", "500m")
	lowering.Enforced = cpu("3")
	leaving := settled("a", "2", "2")
	leaving.Leaving = true
	for _, c := range []struct {
		why    string
		shares []Share
		hard   map[string]string
		unmet  []string
	}{
		{why: "the first namespace gets all", shares: []Share{{Namespace: "a"}}, hard: map[string]string{"a": "4"}},
		{why: "a second one gets nothing before the first is seen to have less",
			shares: []Share{settled("a", "4", "1"), {Namespace: "b"}}, hard: map[string]string{"a": "2500m", "b": "0"}},
		{why: "and its part after that",
			shares: []Share{settled("a", "2500m", "1"), {Namespace: "b", Spec: cpu("0"), Enforced: cpu("0")}}, hard: map[string]string{"b": "1500m"}},
		{why: "what is only written to be less can still be used",
			shares: []Share{lowering, settled("b", "1", "1", ask("2", 0))}, hard: map[string]string{"a": "625m"}},
		{why: "a Pod more moves nothing while there is room", shares: []Share{settled("a", "2", "1"), settled("b", "2", "0")}},
		{why: "an ask moves what it needs, and more", shares: []Share{settled("a", "2", "0"), settled("b", "2", "2", ask("1", 0))},
			hard: map[string]string{"a": "250m"}},
		{why: "an ask that does not fit moves nothing", shares: []Share{settled("a", "2", "1"), settled("b", "2", "1", ask("3", 0))}, unmet: []string{"b"}},
		{why: "the older of two asks goes first", shares: []Share{settled("a", "2", "1", ask("2", 1)), settled("b", "2", "1", ask("2", 0))},
			hard: map[string]string{"a": "1"}, unmet: []string{"a"}},
		{why: "an ask that fits goes before an older one that does not",
			shares: []Share{settled("a", "2", "1", ask("3", 0)), settled("b", "1", "1", ask("1", 1))}, hard: map[string]string{"a": "1250m", "b": "2"}, unmet: []string{"a"}},
		{why: "but not before one that is not repeated any more",
			shares: []Share{settled("a", "2", "1", ask("2", 1)), settled("b", "2", "1", Ask{Requested: cpu("2"), Since: at(0), Stale: true})},
			hard:   map[string]string{"b": "1"}, unmet: []string{"b"}},
		{why: "a smaller total leaves each what it uses", shares: []Share{settled("a", "4", "3"), settled("b", "3", "2")}, hard: map[string]string{"a": "3", "b": "2"}},
		{why: "a namespace that goes keeps what it uses until it is gone", shares: []Share{leaving, settled("b", "2", "2", ask("1", 0))}, unmet: []string{"b"}},
	} {
		t.Run(c.why, func(t *testing.T) {
			got := Divide(cpu("4"), c.shares)
			hard := map[string]string{}
			for ns, l := range got.Hard {
				q := l[corev1.ResourceLimitsCPU]
				hard[ns] = q.String()
			}
			if c.hard == nil {
				c.hard = map[string]string{}
			}
			if diff := cmp.Diff(c.hard, hard); diff != "" {
				t.Errorf("shares (-want +got):\n%s", diff)
			}
			var unmet []string
			for _, s := range c.shares {
				if _, is := got.Unmet[s.Namespace]; is {
					unmet = append(unmet, s.Namespace)
				}
			}
			if diff := cmp.Diff(c.unmet, unmet); diff != "" {
				t.Errorf("unmet (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNeverAboveTheTotal lets namespaces take all that they are let, at the worst moments: the API
// server takes a new share over late, and Pods come in between. Whoever asks for what
// fits gets it.
func TestNeverAboveTheTotal(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 7))
		total := corev1.ResourceList{
			corev1.ResourceLimitsCPU: resource.MustParse("4"), corev1.ResourceLimitsMemory: resource.MustParse("8Gi"),
		}
		world := make([]Share, 1+r.IntN(6))
		for i := range world {
			world[i] = Share{Namespace: fmt.Sprint("n", i)}
		}
		for range 60 {
			play(r, total, world)
			if over := Exceeded(total, nil, Sum(total, usedOf(world)...)); len(over) > 0 {
				t.Fatalf("seed %d: %v is above the total: %+v", seed, over, world)
			}
		}
		mustServe(t, seed, total, world)
	}
}

// play makes one random thing happen to one namespace, or lets the shares be divided.
func play(r *rand.Rand, total corev1.ResourceList, world []Share) {
	s := &world[r.IntN(len(world))]
	switch r.IntN(4) {
	case 0: // the quota controller
		s.Enforced = s.Spec
	case 1: // a Pod: the API server admits by what it enforces
		pod := corev1.ResourceList{
			corev1.ResourceLimitsCPU:    *resource.NewMilliQuantity(r.Int64N(2000), resource.DecimalSI),
			corev1.ResourceLimitsMemory: *resource.NewQuantity(r.Int64N(4<<30), resource.BinarySI),
		}
		if s.Enforced == nil {
			return // nobody may create anything yet
		}
		if len(Exceeded(s.Enforced, s.Used, pod)) > 0 {
			s.Asks = []Ask{{Requested: pod, Since: at(r.IntN(60))}}
			return
		}
		s.Used, s.Asks = Sum(total, s.Used, pod), nil
	case 2: // everything there is deleted
		s.Used, s.Asks = nil, nil
	case 3:
		divide(total, world)
	}
}

func divide(total corev1.ResourceList, world []Share) Division {
	d := Divide(total, world)
	for i := range world {
		if hard, is := d.Hard[world[i].Namespace]; is {
			world[i].Spec = hard
		}
	}
	return d
}

// mustServe asks for all that is left, for one namespace.
func mustServe(t *testing.T, seed uint64, total corev1.ResourceList, world []Share) {
	t.Helper()
	for i := range world {
		world[i].Asks = nil
	}
	rest := corev1.ResourceList{}
	used := Sum(total, usedOf(world)...)
	for name, q := range total {
		q.Sub(used[name])
		rest[name] = q
	}
	last := &world[len(world)-1]
	last.Asks = []Ask{{Requested: rest, Since: at(0)}}
	for range 4 {
		if d := divide(total, world); len(d.Unmet) > 0 {
			t.Fatalf("seed %d: what is left was refused", seed)
		}
		for i := range world {
			world[i].Enforced = world[i].Spec
		}
	}
	if short := Exceeded(last.Enforced, last.Used, rest); len(short) > 0 {
		t.Fatalf("seed %d: %v is free, and does not reach the namespace that asked: %+v", seed, short, world)
	}
	if d := divide(total, world); len(d.Hard) > 0 {
		t.Fatalf("seed %d: the shares do not come to rest: %v", seed, d.Hard)
	}
}

func usedOf(world []Share) []corev1.ResourceList {
	var out []corev1.ResourceList
	for _, s := range world {
		out = append(out, s.Used)
	}
	return out
}
