// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	running  prometheus.Gauge
	start    prometheus.Histogram
	failures prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "skerry_pool_control_planes", Help: "Control planes that this pool member serves.",
		}),
		start: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "skerry_pool_control_plane_start_seconds",
			Help:    "From the Lease won to ControlPlaneReady written.",
			Buckets: []float64{0.1, 0.2, 0.4, 0.7, 1, 2, 4, 8, 16, 32},
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skerry_pool_control_plane_failures_total", Help: "Starts that failed and control planes that ended by themselves.",
		}),
	}
	if r != nil {
		r.MustRegister(m.running, m.start, m.failures)
	}
	return m
}
