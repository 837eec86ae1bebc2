// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the engine.
type metrics struct {
	actions *prometheus.HistogramVec
}

// newMetrics registers skerry_release_action_duration_seconds, or takes the one that is
// registered already when a process sets the engine up twice.
func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	actions := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "skerry_release_action_duration_seconds",
		Help:    "Seconds that an action on a Helm release took, hooks included, readiness of workloads not.",
		Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 300},
	}, []string{"action", "result"})
	if err := registry.Register(actions); err != nil {
		var already prometheus.AlreadyRegisteredError
		if !errors.As(err, &already) {
			return nil, err
		}
		existing, ok := already.ExistingCollector.(*prometheus.HistogramVec)
		if !ok {
			return nil, err
		}
		actions = existing
	}
	return &metrics{actions: actions}, nil
}

// observe records one action; result is success or error.
func (m *metrics) observe(action verb, began time.Time, err error) {
	result := "success"
	if err != nil {
		result = "error"
	}
	m.actions.WithLabelValues(string(action), result).Observe(time.Since(began).Seconds())
}
