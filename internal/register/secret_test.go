// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package register

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestStale(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	want := registration{virtualCluster: "bay", namespace: "argocd", ca: []byte("CA"), access: "abc"}
	for _, c := range []struct {
		why    string
		after  time.Duration
		change func(*corev1.Secret, *registration)
		stale  string
	}{
		{why: "fresh"},
		{why: "just before half its life", after: 29 * time.Minute},
		{why: "at half its life", after: 30 * time.Minute, stale: "half of its token's life is over"},
		{why: "another authority", change: func(_ *corev1.Secret, r *registration) { r.ca = []byte("other") }, stale: "the certificate authority changed"},
		{why: "other rights", change: func(_ *corev1.Secret, r *registration) { r.access = "def" }, stale: "the rights of the GitOps engine changed"},
		{why: "token removed", change: func(s *corev1.Secret, _ *registration) { s.Data["config"] = []byte("{}") }, stale: "it holds no token"},
		{why: "server changed", change: func(s *corev1.Secret, _ *registration) { s.Data["server"] = []byte("https://elsewhere") }, stale: "somebody changed it"},
		{why: "label removed", change: func(s *corev1.Secret, _ *registration) { delete(s.Labels, labelVClusterName) }, stale: "somebody changed it"},
		{why: "time removed", change: func(s *corev1.Secret, _ *registration) { delete(s.Annotations, annotationRenewAt) }, stale: "it does not say how long its token is good"},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := want
			s, err := r.secret("token", now, now.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(s, &r)
			}
			if got, _ := r.stale(s, now.Add(c.after)); got != c.stale {
				t.Errorf("stale = %q, want %q", got, c.stale)
			}
		})
	}
	if got, _ := want.stale(nil, now); got == "" {
		t.Error("a missing Secret is good")
	}
}

func TestUsable(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	want := registration{virtualCluster: "bay", namespace: "argocd", ca: []byte("CA"), access: "abc"}
	for _, c := range []struct {
		why    string
		after  time.Duration
		change func(*corev1.Secret, *registration)
		usable bool
	}{
		{why: "fresh", usable: true},
		{why: "to be renewed", after: 45 * time.Minute, usable: true},
		{why: "expired", after: time.Hour},
		{why: "a renewed authority", change: func(_ *corev1.Secret, r *registration) { r.ca = []byte("NEW\nCA") }, usable: true},
		{why: "another authority", change: func(_ *corev1.Secret, r *registration) { r.ca = []byte("other") }},
		{why: "another virtual cluster of the same name", change: func(_ *corev1.Secret, r *registration) { r.access = "def" }},
		{why: "token removed", change: func(s *corev1.Secret, _ *registration) { s.Data["config"] = []byte("{}") }},
		{why: "server changed", change: func(s *corev1.Secret, _ *registration) { s.Data["server"] = []byte("https://elsewhere") }},
		{why: "label removed", change: func(s *corev1.Secret, _ *registration) { delete(s.Labels, labelVClusterName) }, usable: true},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := want
			s, err := r.secret("token", now, now.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(s, &r)
			}
			if got := r.usable(s, now.Add(c.after)); got != c.usable {
				t.Errorf("usable = %t, want %t", got, c.usable)
			}
		})
	}
}

func TestSecretFormat(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	s, err := registration{virtualCluster: "bay", namespace: "argocd", ca: []byte("CA"), access: "abc"}.secret("tok", now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"bearerToken":"tok","tlsClientConfig":{"caData":"Q0E="}}`, string(s.Data["config"])); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestParseResources(t *testing.T) {
	for _, c := range []struct {
		why  string
		in   []string
		want []resource
		fail bool
	}{
		{"default", nil, []resource{{"core.oam.dev", "applications"}, {"", "namespaces"}, {"", "configmaps"}, {"", "secrets"}}, false},
		{"with and without group", []string{"configmaps", "deployments.apps"}, []resource{{"", "configmaps"}, {"apps", "deployments"}}, false},
		{"everything", []string{"*"}, nil, true},
		{"every resource of a group", []string{"*.apps"}, nil, true},
		{"a kind", []string{"ConfigMap"}, nil, true},
		{"no resource", []string{".apps"}, nil, true},
		{"no group after the dot", []string{"configmaps."}, nil, true},
		{"a subresource", []string{"pods/exec"}, nil, true},
		{"empty", []string{""}, nil, true},
	} {
		t.Run(c.why, func(t *testing.T) {
			got, err := parseResources(c.in)
			if (err != nil) != c.fail {
				t.Fatalf("error %v, want one: %v", err, c.fail)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(resource{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseResources(f *testing.F) {
	for _, seed := range []string{"configmaps", "applications.core.oam.dev", "*", "", "a.", "A.b", "pods/exec"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := parseResources([]string{in})
		if err != nil {
			return
		}
		back := got[0].name
		if got[0].group != "" {
			back += "." + got[0].group
		}
		if back != in {
			t.Errorf("%q was read as %+v", in, got[0])
		}
	})
}
