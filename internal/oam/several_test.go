// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam_test

import (
	"context"
	"fmt"
	"testing"

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
	second := on(t, env)
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
	// What comes through after it, in both engines, shows that both are done with it.
	second.deploy("later", spec(configMap("c")))
	second.eventually("later", phase(oamv1.PhaseRunning))
	if now := there(second, &corev1.ConfigMap{}, "b"); now.ResourceVersion != b.ResourceVersion {
		t.Error("two engines keep writing the same object")
	}
}

// BenchmarkToRunning is the time from the creation of Applications to all of them running,
// for Applications that have nothing to wait for.
func BenchmarkToRunning(b *testing.B) {
	env := testenv.Start(b, testenv.WithScheme(oamv1.AddToScheme))
	s := on(b, env)
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
		testenv.Eventually(b, s.allRunning)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(n), "ms/application")
}

func (s *stage) allRunning(ctx context.Context) error {
	apps := &oamv1.ApplicationList{}
	if err := s.List(ctx, apps, client.InNamespace(s.namespace)); err != nil {
		return err
	}
	for _, app := range apps.Items {
		if app.Status.Phase != oamv1.PhaseRunning {
			return fmt.Errorf("%s is %q", app.Name, app.Status.Phase)
		}
	}
	return nil
}
