// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Each object that was refused counts once, with what it was refused last, and since the first time.
func TestRefusals(t *testing.T) {
	at := func(minute int) metav1.Time {
		return metav1.NewTime(time.Date(2026, 11, 23, 12, minute, 0, 0, time.UTC))
	}
	event := func(kind, name string, created, last metav1.Time, requested string) corev1.Event {
		return corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprint(kind, name, created.Minute()), CreationTimestamp: created},
			InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name}, LastTimestamp: last,
			Message: "exceeded quota: virtual-cluster-share, requested: limits.cpu=" + requested + ", used: limits.cpu=1, limited: limits.cpu=1",
		}
	}
	series := event("ReplicaSet", "web", at(1), metav1.Time{}, "3")
	series.Series = &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(at(9).Time)}
	other := event("Job", "seed", at(1), at(2), "1")
	other.Message = "violates PodSecurity"
	got := map[string]string{}
	for _, r := range refusals([]corev1.Event{
		event("StatefulSet", "db", at(5), at(6), "2"),
		event("StatefulSet", "db", at(3), at(4), "1"),
		series,
		event("ResourceQuota", "virtual-cluster-share", at(1), at(1), "500m"), // two Pods that the syncer
		event("ResourceQuota", "virtual-cluster-share", at(2), at(2), "600m"), // was refused
		other,
	}) {
		cpu := r.Requested[corev1.ResourceLimitsCPU]
		got[fmt.Sprintf("%s %s", r.object.Kind, cpu.String())] = fmt.Sprintf("%d-%d", r.since.Minute(), r.last.Minute())
	}
	want := map[string]string{"StatefulSet 2": "3-6", "ReplicaSet 3": "1-9", "ResourceQuota 500m": "1-1", "ResourceQuota 600m": "2-2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSoonest(t *testing.T) {
	for _, c := range [][3]time.Duration{{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {3, 5, 3}, {5, 3, 3}} {
		if got := soonest(c[0], c[1]); got != c[2] {
			t.Errorf("soonest(%d, %d) = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
