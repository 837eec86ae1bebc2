// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

// BenchmarkReleases installs Releases of the Redis chart in one namespace, b.N at once, and
// reports how many are synced a second. For the design's goal (1,000 in two minutes, which is
// 8.3/s): go test ./internal/helm -run '^$' -bench Releases -benchtime 1000x
func BenchmarkReleases(b *testing.B) {
	w := newWorld(b, Options{}).allow()
	for i := range b.N {
		w.create(w.releaseOf(fmt.Sprintf("c%d-redis", i), "redis", "18.19.4", ""))
	}
	began := time.Now()
	b.ResetTimer()
	w.untilSynced(b)
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "releases/s")
}

// untilSynced watches until every Release of the namespace is synced.
func (w *world) untilSynced(b *testing.B) {
	b.Helper()
	watching, err := client.NewWithWatch(w.Config, client.Options{Scheme: w.Scheme})
	if err != nil {
		b.Fatal(err)
	}
	// Without a resourceVersion a watch begins with everything that is there.
	events, err := watching.Watch(b.Context(), &helmv1beta1.ReleaseList{}, client.InNamespace(w.ns))
	if err != nil {
		b.Fatal(err)
	}
	defer events.Stop()
	synced := map[string]bool{}
	for event := range events.ResultChan() {
		if rel, ok := event.Object.(*helmv1beta1.Release); ok && rel.Status.Synced {
			synced[rel.Name] = true
		}
		if len(synced) == b.N {
			return
		}
	}
	b.Fatalf("the watch ended with %d of %d Releases synced", len(synced), b.N)
}
