// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1beta1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/test/platform"
)

// TestApplications creates OAM Applications of one ConfigMap each, all at once, and waits
// until every one is running.
func TestApplications(t *testing.T) {
	count := number("SKERRY_BENCH_APPLICATIONS", 300)
	c := platform.Virtual(t, environment(t))
	begun := time.Now()
	for i := range count {
		name := fmt.Sprintf("many-%d", i)
		properties, err := json.Marshal(map[string]any{"objects": []any{map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": map[string]any{"n": name},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		app := &oamv1beta1.Application{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: oamv1beta1.ApplicationSpec{
			Components: []oamv1beta1.ApplicationComponent{{Name: name, Type: "k8s-objects", Properties: &runtime.RawExtension{Raw: properties}}},
		}}
		if err := c.Create(t.Context(), app); err != nil {
			t.Fatal(err)
		}
	}
	platform.Eventually(t, 20*time.Minute, "all Applications run", func() error {
		list := &oamv1beta1.ApplicationList{}
		if err := c.List(t.Context(), list, client.InNamespace("default")); err != nil {
			return err
		}
		running := 0
		for _, app := range list.Items {
			if app.Status.Phase == "running" {
				running++
			}
		}
		if running < count {
			return fmt.Errorf("%d of %d run", running, count)
		}
		return nil
	})
	took := time.Since(begun)
	row("OAM Applications to running", fmt.Sprintf("%s for %d, %.1f/s", round(took), count, float64(count)/took.Seconds()), "one ConfigMap each, in one virtual cluster")
}
