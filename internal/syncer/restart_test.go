// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
