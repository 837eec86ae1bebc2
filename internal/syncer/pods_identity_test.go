// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// podKnowsItself has a real API server accept what a Pod that asks for its own labels and full name becomes.
func podKnowsItself(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "identity")
	pod := simplePod(ns, "redis-0")
	pod.Spec.Hostname, pod.Spec.Subdomain, pod.Spec.SetHostnameAsFQDN = "redis-0", "redis", ptr.To(true)
	pod.Spec.Volumes = []corev1.Volume{{Name: "labels", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
		Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}},
	}}}}
	create(t, w.virtual.Client, pod)
	shown := func(want string) func(*corev1.Pod) error {
		return func(host *corev1.Pod) error {
			return wantEqual(host.Annotations[platformv1alpha1.AnnotationVirtualLabels], want)
		}
	}
	host := await(t, w.host.Client, hostNS, "redis-0", shown(`app="redis-0"`))
	if got := ptr.Deref(host.Spec.HostnameOverride, ""); got != "redis-0.redis.identity.svc.cluster.local" {
		t.Errorf("the hostname on the node will be %q", got)
	}
	if host.Spec.Hostname != "redis-0" || host.Spec.Subdomain != "redis" {
		t.Errorf("the host's own DNS knows it as %q in %q", host.Spec.Hostname, host.Spec.Subdomain)
	}
	update(t, w.virtual.Client, pod, func() { pod.Labels["role"] = "primary" })
	await(t, w.host.Client, hostNS, "redis-0", shown("app=\"redis-0\"\nrole=\"primary\""))
}
