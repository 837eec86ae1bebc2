// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// syncDuration has no label for the tenant: a pool member serves hundreds.
var syncDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "skerry_syncer_sync_duration_seconds",
	Help:    "Time to bring one object from one side to the other, by kind, direction (down, both, up) and result (ok, error).",
	Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
}, []string{"kind", "direction", "result"})

func init() { metrics.Registry.MustRegister(syncDuration) }

// observe records one sync that began at start.
func observe(kind, direction string, start time.Time, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	syncDuration.WithLabelValues(kind, direction, result).Observe(time.Since(start).Seconds())
}
