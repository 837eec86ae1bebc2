// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// TestSyncer runs the stories against one pair of clusters, each in namespaces of its own.
func TestSyncer(t *testing.T) {
	w := newWorld(t, "east")
	for name, story := range map[string]func(*testing.T, *world){
		"pod runs and ends": podRunsAndEnds,
	} {
		t.Run(name, func(t *testing.T) { story(t, w) })
	}
}

func podRunsAndEnds(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "runs")
	create(t, w.virtual.Client, simplePod(ns, "web"))

	host := await(t, w.host.Client, hostNS, "web", func(pod *corev1.Pod) error { return nil })
	if host.Labels["app"] != "web" || host.Labels[platformv1alpha1.LabelVirtualCluster] != "east" {
		t.Errorf("host labels are %v", host.Labels)
	}
	await(t, w.virtual.Client, "", ns, func(n *corev1.Namespace) error {
		return want(len(n.Finalizers) == 1, "finalizers of the namespace are %v", n.Finalizers)
	})

	if err := w.host.Client.SubResource("binding").Create(t.Context(), host, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "node-1"}}); err != nil {
		t.Fatal(err)
	}
	setStatus(t, w.host.Client, host, func() {
		host.Status.Phase = corev1.PodRunning
		host.Status.PodIP = "10.1.0.7"
		host.Status.PodIPs = []corev1.PodIP{{IP: "10.1.0.7"}}
		now := metav1.Now()
		host.Status.StartTime = &now
	})
	virtual := await(t, w.virtual.Client, ns, "web", func(pod *corev1.Pod) error {
		return want(pod.Status.PodIP == "10.1.0.7" && pod.Spec.NodeName == "node-1", "virtual Pod on %q has IP %q", pod.Spec.NodeName, pod.Status.PodIP)
	})

	if err := w.virtual.Client.Delete(t.Context(), virtual); err != nil {
		t.Fatal(err)
	}
	host = await(t, w.host.Client, hostNS, "web", func(pod *corev1.Pod) error {
		return want(pod.DeletionTimestamp != nil, "host Pod is not being deleted")
	})
	if *host.DeletionGracePeriodSeconds != 5 {
		t.Errorf("host Pod has %d s to end, want 5", *host.DeletionGracePeriodSeconds)
	}
	if err := w.host.Client.Delete(t.Context(), host, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Pod{}, ns, "web")
}
