// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const statefulSet = `create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: exceeded quota: virtual-cluster-share, ` +
	`requested: limits.cpu=500m,limits.memory=1Gi, used: limits.cpu=1,limits.memory=512Mi, limited: limits.cpu=1,limits.memory=1Gi`

func TestParseRefusal(t *testing.T) {
	two := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceLimitsCPU: resource.MustParse(cpu), corev1.ResourceLimitsMemory: resource.MustParse(memory)}
	}
	for _, c := range []struct {
		message string
		want    Refusal
		ok      bool
	}{
		{statefulSet, Refusal{Requested: two("500m", "1Gi"), Used: two("1", "512Mi")}, true},
		{"exceeded quota: the-teams-own, requested: pods=1, used: pods=1, limited: pods=1", Refusal{}, false},
		{"exceeded quota: virtual-cluster-share, requested: limits.cpu=lots, used: limits.cpu=1, limited: limits.cpu=1", Refusal{}, false},
		{"exceeded quota: virtual-cluster-share, requested: limits.cpu=1", Refusal{}, false},
		{statefulSet + strings.Repeat(",x=1", 2000), Refusal{}, false},
		{"failed quota: virtual-cluster-share: must specify limits.cpu", Refusal{}, false},
	} {
		got, ok := ParseRefusal(c.message)
		if ok != c.ok {
			t.Errorf("%q: understood %t, want %t", c.message, ok, c.ok)
		}
		if diff := cmp.Diff(c.want, got); c.ok && diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.message, diff)
		}
	}
}

func FuzzParseRefusal(f *testing.F) {
	f.Add(statefulSet)
	f.Add("exceeded quota: virtual-cluster-share, requested: =, used: , limited: ")
	f.Fuzz(func(t *testing.T, message string) {
		r, ok := ParseRefusal(message)
		if !ok {
			return
		}
		for name, q := range r.Requested {
			if name == "" || q.Sign() < 0 {
				t.Errorf("%q asks for %s=%s", message, name, q.String())
			}
		}
		Divide(cpu("4"), []Share{settled("a", "2", "1", Ask{Requested: r.Requested}), settled("b", "2", "0")})
	})
}

func TestServed(t *testing.T) {
	r, _ := ParseRefusal(statefulSet)
	used := corev1.ResourceList{corev1.ResourceLimitsCPU: resource.MustParse("1500m"), corev1.ResourceLimitsMemory: resource.MustParse("1Gi")}
	if r.Served(used) {
		t.Error("served with half of the memory")
	}
	used[corev1.ResourceLimitsMemory] = resource.MustParse("1536Mi")
	if !r.Served(used) {
		t.Error("not served although all of it is used")
	}
}

func TestExplain(t *testing.T) {
	status := &v1alpha1.QuotaStatus{Hard: cpu("4"), Used: cpu("3"), Namespaces: []v1alpha1.NamespaceQuota{
		{Name: "default", Used: cpu("2")}, {Name: "idle", Used: cpu("0")}, {Name: "shop", Used: cpu("1")},
	}}
	want := "exceeded quota of virtual cluster island: requested in shop: limits.cpu=2, used: limits.cpu=3 (default 2, shop 1), limited: limits.cpu=4; " +
		"delete something there, ask for less, or give the environment more (size or resources of its claim)"
	if got := Explain("island", "shop", status, cpu("2")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
