// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the engine. The queue's and the reconciles' own are controller-runtime's.
type metrics struct {
	sync     *prometheus.HistogramVec
	fetch    *prometheus.HistogramVec
	failures *prometheus.CounterVec
}

// newMetrics registers them, or finds those of another engine in this process.
func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		sync: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "skerry_gitops_sync_duration_seconds",
			Help:    "Time of one sync of an Application, from its start to everything applied and pruned.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"result"}),
		fetch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "skerry_gitops_git_request_duration_seconds",
			Help:    "Time of one request to a Git repository: resolve (what is the revision) or fetch (its files).",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"request", "result"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skerry_gitops_failures_total",
			Help: "Reconciles that could not find out what to deliver, by the condition that says why.",
		}, []string{"condition"}),
	}
	err := errors.Join(register(registry, &m.sync), register(registry, &m.fetch), register(registry, &m.failures))
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return m, nil
}

// register adds a collector, or replaces it with the one that is there.
func register[C prometheus.Collector](registry prometheus.Registerer, c *C) error {
	err := registry.Register(*c)
	var registered prometheus.AlreadyRegisteredError
	if errors.As(err, &registered) {
		if existing, ok := registered.ExistingCollector.(C); ok {
			*c = existing
			return nil
		}
	}
	return err
}

// since is how long something took, in seconds, and how it ended.
func since(began time.Time, err error) (seconds float64, result string) {
	result = "succeeded"
	if err != nil {
		result = "failed"
	}
	return time.Since(began).Seconds(), result
}

func (m *metrics) observeGit(request string, began time.Time, err error) {
	seconds, result := since(began, err)
	m.fetch.WithLabelValues(request, result).Observe(seconds)
}

func (m *metrics) observeSync(began time.Time, err error) {
	seconds, result := since(began, err)
	m.sync.WithLabelValues(result).Observe(seconds)
}
