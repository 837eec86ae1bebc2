// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

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
