// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stages measures how long the steps of a reconcile take.
type stages struct {
	seconds *prometheus.HistogramVec
}

// newStages registers skerry_application_stage_duration_seconds{stage,result}. The engines
// of one process share it. It has no label for the virtual cluster: a process may
// serve hundreds.
func newStages(reg prometheus.Registerer) *stages {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "skerry_application_stage_duration_seconds",
		Help:    "Seconds that one stage of reconciling an OAM Application took.",
		Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30},
	}, []string{"stage", "result"})
	if err := reg.Register(seconds); err != nil {
		var already prometheus.AlreadyRegisteredError
		if errors.As(err, &already) {
			if existing, ok := already.ExistingCollector.(*prometheus.HistogramVec); ok {
				seconds = existing
			}
		}
	}
	return &stages{seconds: seconds}
}

// observe runs one stage and records it.
func (s *stages) observe(stage string, f func() error) error {
	start := time.Now()
	err := f()
	result := "success"
	if err != nil {
		result = "error"
	}
	s.seconds.WithLabelValues(stage, result).Observe(time.Since(start).Seconds())
	return err
}
