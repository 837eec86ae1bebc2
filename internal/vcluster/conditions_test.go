// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

func TestReadyOfAVirtualCluster(t *testing.T) {
	cond := func(typ string, s metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: typ, Status: s, Reason: reason, Message: message}
	}
	serves := cond(v1alpha1.ConditionControlPlaneReady, metav1.ConditionTrue, "Serving", "")
	for _, c := range []struct {
		why     string
		conds   []metav1.Condition
		gitops  bool
		gone    bool
		waiting string
		err     error
		want    metav1.Condition
	}{
		{why: "no member yet", want: cond("Ready", metav1.ConditionFalse, "Creating", "waiting for a pool member to start the control plane")},
		{why: "serving", conds: []metav1.Condition{serves}, want: cond("Ready", metav1.ConditionTrue, "Available", "")},
		{why: "serving, not registered", conds: []metav1.Condition{serves}, gitops: true,
			want: cond("Ready", metav1.ConditionFalse, "Creating", "waiting for the registration with the GitOps engine")},
		{why: "registered", conds: []metav1.Condition{serves, cond("Registered", metav1.ConditionTrue, "Available", "")}, gitops: true,
			want: cond("Ready", metav1.ConditionTrue, "Available", "")},
		{why: "stopped after it was ready", conds: []metav1.Condition{
			cond("Ready", metav1.ConditionTrue, "Available", ""), cond(v1alpha1.ConditionControlPlaneReady, metav1.ConditionFalse, "Stopped", "member left")},
			want: cond("Ready", metav1.ConditionFalse, "Unavailable", "ControlPlaneReady: member left")},
		{why: "an error before it was ready", err: errors.New("boom"), want: cond("Ready", metav1.ConditionFalse, "Creating", "boom")},
		{why: "an error after it was ready", conds: []metav1.Condition{serves, cond("Ready", metav1.ConditionTrue, "Available", "")}, err: errors.New("boom"),
			want: cond("Ready", metav1.ConditionFalse, "Unavailable", "boom")},
		{why: "blocked", err: blocked{reason: "NamespaceTaken", message: "choose another"}, want: cond("Ready", metav1.ConditionFalse, "NamespaceTaken", "choose another")},
		{why: "leaving", gone: true, waiting: "waiting for x", conds: []metav1.Condition{serves}, want: cond("Ready", metav1.ConditionFalse, "Deleting", "waiting for x")},
		{why: "leaving, with an error", gone: true, err: errors.New("boom"), want: cond("Ready", metav1.ConditionFalse, "Deleting", "boom")},
	} {
		t.Run(c.why, func(t *testing.T) {
			vc := &v1alpha1.VirtualCluster{Status: v1alpha1.VirtualClusterStatus{Conditions: c.conds}}
			if c.gitops {
				vc.Spec.GitOps = &v1alpha1.GitOpsAccess{}
			}
			if c.gone {
				now := metav1.Now()
				vc.DeletionTimestamp = &now
			}
			summarize(vc, c.waiting, c.err)
			got := *status.Get(vc.Status.Conditions, v1alpha1.ConditionReady)
			got.LastTransitionTime = metav1.Time{}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLimitRangeFitsTheQuota(t *testing.T) {
	for _, c := range []struct {
		why                  string
		quota                v1alpha1.Quota
		cpu, memory, request string
	}{
		{"plenty", v1alpha1.Quota{CPU: quantity("8"), Memory: quantity("16Gi")}, "500m", "512Mi", "25m"},
		{"small", v1alpha1.Quota{CPU: quantity("1"), Memory: quantity("1Gi")}, "250m", "256Mi", "25m"},
		{"tiny", v1alpha1.Quota{CPU: quantity("40m"), Memory: quantity("128Mi")}, "10m", "32Mi", "10m"},
		{"storage only", v1alpha1.Quota{Storage: quantity("1Gi")}, "500m", "512Mi", "25m"},
	} {
		t.Run(c.why, func(t *testing.T) {
			item := limitRange("bay", "bay--default", &c.quota).Spec.Limits[0]
			for got, want := range map[string]string{
				item.Default.Cpu().String(): c.cpu, item.Default.Memory().String(): c.memory, item.DefaultRequest.Cpu().String(): c.request,
			} {
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			if r := item.DefaultRequest[corev1.ResourceMemory]; r.Cmp(item.Default[corev1.ResourceMemory]) > 0 {
				t.Errorf("the memory request %s is more than the limit", r.String())
			}
		})
	}
}

func TestHas(t *testing.T) {
	m := func(kv ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i].(string)] = kv[i+1]
		}
		return out
	}
	for _, c := range []struct {
		why        string
		live, want any
		is         bool
	}{
		{"the same", m("a", "1"), m("a", "1"), true},
		{"live has more", m("a", "1", "b", "2"), m("a", "1"), true},
		{"live lacks a key", m("b", "2"), m("a", "1"), false},
		{"live has another value", m("a", "2"), m("a", "1"), false},
		{"empty map against none", nil, m(), true},
		{"empty list against none", nil, []any{}, true},
		{"lists, element by element", []any{m("a", "1", "b", "2")}, []any{m("a", "1")}, true},
		{"a list with more", []any{"x", "y"}, []any{"x"}, false},
		{"a map against a scalar", "x", m("a", "1"), false},
	} {
		if got := has(c.live, c.want); got != c.is {
			t.Errorf("%s: has = %v", c.why, got)
		}
	}
}
