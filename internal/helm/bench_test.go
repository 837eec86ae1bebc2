// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
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
	for {
		var releases helmv1beta1.ReleaseList
		if err := w.Client.List(context.Background(), &releases, client.InNamespace(w.ns)); err != nil {
			b.Fatal(err)
		}
		synced := 0
		for i := range releases.Items {
			if releases.Items[i].Status.Synced {
				synced++
			}
		}
		if synced == b.N {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "releases/s")
}
