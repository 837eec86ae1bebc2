// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/test/platform"
)

// settle is how long a process is left alone before its memory is read.
const settle = 30 * time.Second

// TestVirtualClusters measures how fast virtual clusters are ready, one after another, and what
// each idle one costs.
func TestVirtualClusters(t *testing.T) {
	count := number("SKERRY_BENCH_CLUSTERS", 20)
	c := platform.Client(t)
	before := memory(t, "skerry-kube", "pool")
	operatorBefore := memory(t, "skerry-operator", "run")
	var api samples
	for i := range count {
		vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("idle-%d", i)},
			Spec: v1alpha1.VirtualClusterSpec{Placement: v1alpha1.PlacementShared, GitOps: &v1alpha1.GitOpsAccess{}}}
		list := &v1alpha1.VirtualClusterList{}
		watch, err := c.Watch(t.Context(), list, client.MatchingFields{"metadata.name": vc.Name})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := c.Create(t.Context(), vc); err != nil {
			t.Fatal(err)
		}
		for event := range watch.ResultChan() {
			if now, ok := event.Object.(*v1alpha1.VirtualCluster); ok && status.IsTrue(now.Status.Conditions, v1alpha1.ConditionControlPlaneReady) {
				api = append(api, time.Since(begun))
				break
			}
		}
		watch.Stop()
	}
	row("VirtualCluster created -> API ready, shared placement, cold", api.String(), fmt.Sprintf("%d, one after another", count))
	<-time.After(settle)
	grown := memory(t, "skerry-kube", "pool") - before
	row("memory of one idle virtual cluster, shared placement", fmt.Sprintf("%d MB", grown/int64(count)>>20),
		fmt.Sprintf("anonymous memory of the pool member, before and after %d, %s later", count, settle))
	row("operator memory", fmt.Sprintf("%d MB with %d environments, %d MB with none", memory(t, "skerry-operator", "run")>>20, count, operatorBefore>>20), "anonymous memory")
	for i := range count {
		if err := c.Delete(t.Context(), &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("idle-%d", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	platform.Eventually(t, 10*time.Minute, "the idle clusters are gone", func() error {
		list := &v1alpha1.VirtualClusterList{}
		if err := c.List(t.Context(), list); err != nil {
			return err
		}
		if len(list.Items) > 0 {
			return fmt.Errorf("%d are left", len(list.Items))
		}
		return nil
	})
	row("deletion of idle virtual clusters", round(time.Since(begun)), fmt.Sprintf("%d at once", count))
}
