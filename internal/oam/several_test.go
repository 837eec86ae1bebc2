// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// Engines of several clusters run in one process, on one metrics registry, and do not
// see each other.
func TestSeveralEngines(t *testing.T) {
	first := newStage(t)
	env := testenv.StartOwn(t, testenv.WithScheme(oamv1.AddToScheme))
	second := &stage{TB: t, Client: env.Client, namespace: env.Namespace(t)}
	second.installCatalog()
	registry := prometheus.NewRegistry()
	for range 2 { // twice on one cluster: they must agree, not fight
		second.runEngine(env, "other", registry)
	}
	first.deploy("app", spec(configMap("a")))
	second.deploy("app", spec(configMap("b")))
	first.eventually("app", phase(oamv1.PhaseRunning))
	second.eventually("app", phase(oamv1.PhaseRunning))
	b := there(second, &corev1.ConfigMap{}, "b")
	time.Sleep(200 * time.Millisecond)
	if now := there(second, &corev1.ConfigMap{}, "b"); now.ResourceVersion != b.ResourceVersion {
		t.Error("two engines keep writing the same object")
	}
}

// BenchmarkToRunning is the time from the creation of Applications to all of them running,
// for Applications that have nothing to wait for.
func BenchmarkToRunning(b *testing.B) {
	env := testenv.Start(b, testenv.WithScheme(oamv1.AddToScheme))
	s := &stage{TB: b, Client: env.Client, namespace: env.Namespace(b)}
	s.installCatalog()
	s.runEngine(env, "shop", prometheus.NewRegistry())
	n := 0
	for b.Loop() {
		for range 100 {
			n++
			app := &oamv1.Application{}
			app.Name, app.Namespace = fmt.Sprintf("app-%d", n), s.namespace
			app.Spec = spec(configMap(fmt.Sprintf("cm-%d", n)))
			if err := s.Create(b.Context(), app); err != nil {
				b.Fatal(err)
			}
		}
		for !allRunning(b, s) {
			time.Sleep(100 * time.Millisecond)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(n), "ms/application")
}

func allRunning(b *testing.B, s *stage) bool {
	apps := &oamv1.ApplicationList{}
	if err := s.List(b.Context(), apps, client.InNamespace(s.namespace)); err != nil {
		b.Fatal(err)
	}
	return !slices.ContainsFunc(apps.Items, func(app oamv1.Application) bool { return app.Status.Phase != oamv1.PhaseRunning })
}
