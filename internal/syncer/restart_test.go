// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/testenv"
)

// restartCompares changes both sides while no syncer runs.
func restartCompares(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "restart")
	stays, dropped, evicted := simplePod(ns, "stays"), simplePod(ns, "dropped"), simplePod(ns, "evicted")
	service := simpleService(ns, "dropped")
	for _, obj := range []client.Object{stays, dropped, evicted, service} {
		create(t, w.virtual.Client, obj)
	}
	await[corev1.Service](t, w.host.Client, hostNS, "dropped", nil)
	hosts := map[string]*corev1.Pod{}
	for _, name := range []string{"stays", "dropped", "evicted"} {
		hosts[name] = await[corev1.Pod](t, w.host.Client, hostNS, name, nil)
		bindTo(t, w, hosts[name], "node-1")
		await(t, w.virtual.Client, ns, name, func(pod *corev1.Pod) error { return want(wasScheduled(pod), "not scheduled") })
	}

	chart, chartClaim := simplePod(hostNS, "chart-0"), simpleClaim(hostNS, "data-chart-0")
	chart.Spec.NodeName = "node-1"
	create(t, w.host.Client, chart)
	create(t, w.host.Client, chartClaim)
	bindOnHost(t, w, chartClaim, "", "pv-before")
	mirror := await[corev1.Pod](t, w.virtual.Client, ns, "chart-0", nil)
	letGo(t, w.virtual.Client, await(t, w.virtual.Client, ns, "data-chart-0", func(c *corev1.PersistentVolumeClaim) error { return wantEqual(c.Spec.VolumeName, "pv-before") }))

	w.stop()
	// A chart made its Pod and its claim anew.
	for _, obj := range []client.Object{chart, chartClaim} {
		if err := w.host.Client.Delete(t.Context(), obj, client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	chart, chartClaim = simplePod(hostNS, "chart-0"), simpleClaim(hostNS, "data-chart-0")
	chart.Spec.NodeName = "node-2"
	create(t, w.host.Client, chart)
	create(t, w.host.Client, chartClaim)
	bindOnHost(t, w, chartClaim, "", "pv-after")
	update(t, w.virtual.Client, service, func() { service.Finalizers = nil })
	for _, obj := range []client.Object{dropped, service} {
		if err := w.virtual.Client.Delete(t.Context(), obj, client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.host.Client.Delete(t.Context(), hosts["evicted"], client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	w.start(t)

	await(t, w.host.Client, hostNS, "dropped", func(pod *corev1.Pod) error {
		return want(pod.DeletionTimestamp != nil, "a host Pod without a virtual one is not being deleted")
	})
	gone(t, w.host.Client, &corev1.Service{}, hostNS, "dropped")
	gone(t, w.virtual.Client, &corev1.Pod{}, ns, "evicted")
	await(t, w.host.Client, hostNS, "stays", func(pod *corev1.Pod) error {
		return want(pod.UID == hosts["stays"].UID && pod.DeletionTimestamp == nil, "a running Pod was touched")
	})
	await(t, w.virtual.Client, ns, "chart-0", func(pod *corev1.Pod) error {
		return want(pod.UID != mirror.UID && pod.Spec.NodeName == "node-2", "the chart's Pod is still seen on %s", pod.Spec.NodeName)
	})
	await(t, w.virtual.Client, ns, "data-chart-0", func(c *corev1.PersistentVolumeClaim) error { return wantEqual(c.Spec.VolumeName, "pv-after") })
	await[corev1.PersistentVolume](t, w.virtual.Client, "", "pv-after", nil)
	gone(t, w.virtual.Client, &corev1.PersistentVolume{}, "", "pv-before")
}

// quietAtRest has nothing written while nobody changes anything.
func quietAtRest(t *testing.T, w *world) {
	versions := func(ctx context.Context) map[string]string {
		all := map[string]string{}
		for side, c := range map[string]client.Client{"host": w.host.Client, "virtual": w.virtual.Client} {
			for _, kind := range []client.Object{
				&corev1.Pod{}, &corev1.Service{}, &corev1.ConfigMap{}, &corev1.Secret{}, &corev1.PersistentVolumeClaim{}, &corev1.Namespace{},
				untyped(namespacedReleaseKind), untyped(clusterReleaseKind),
			} {
				objects, err := listObjects(ctx, c, kind)
				if err != nil {
					t.Fatal(err)
				}
				for _, object := range objects {
					if object.GetNamespace() != "kube-system" {
						all[side+"/"+object.GetNamespace()+"/"+object.GetName()] = object.GetResourceVersion()
					}
				}
			}
		}
		return all
	}
	// What came before may still be settling.
	var before map[string]string
	testenv.Eventually(t, func(ctx context.Context) error {
		before = versions(ctx)
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
		}
		return sameVersions(before, versions(ctx))
	})
	testenv.Always(t, time.Second, func(ctx context.Context) error { return sameVersions(before, versions(ctx)) })
}

func sameVersions(before, after map[string]string) error {
	for name, version := range after {
		if before[name] != version {
			return want(false, "%s was written", name)
		}
	}
	return nil
}

// TestTwoClusters gives two virtual clusters objects of the same names on one host.
func TestTwoClusters(t *testing.T) {
	worlds := map[string]*world{"north": newWorld(t, "north"), "south": newWorld(t, "south")}
	for vc, w := range worlds {
		ns, hostNS := w.namespace(t, "same")
		pod := simplePod(ns, "web")
		pod.Labels["from"] = vc
		create(t, w.virtual.Client, pod)
		host := await[corev1.Pod](t, w.host.Client, hostNS, "web", nil)
		if host.Labels["from"] != vc {
			t.Errorf("the Pod in %s is from %s", hostNS, host.Labels["from"])
		}
	}
	for vc, w := range worlds {
		pods := &corev1.PodList{}
		if err := w.virtual.Client.List(t.Context(), pods); err != nil {
			t.Fatal(err)
		}
		if len(pods.Items) != 1 || pods.Items[0].Labels["from"] != vc {
			t.Errorf("%s sees %d Pods", vc, len(pods.Items))
		}
	}
}
