// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// quietAtRest has a syncer that starts look at everything, and write nothing: all is as it should be. What
// the stories before left unfinished may take a start or two.
func quietAtRest(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "rest")
	w.open(t, ns)
	chartsObjects(t, w, ns, hostNS)
	var err error
	for round := range 3 {
		w.stop()
		stopped, before := backlog(t), versions(t, w)
		w.start(t)
		marker := simpleService(ns, fmt.Sprintf("marker-%d", round))
		create(t, w.virtual.Client, marker)
		await[corev1.Service](t, w.host.Client, hostNS, marker.Name, nil)
		awaitIdle(t, stopped)
		if err = sameVersions(before, versions(t, w)); err == nil {
			return
		}
	}
	t.Error(err)
}

// chartsObjects has a chart make one object of each kind that comes up; the stories before left enough of those that go down.
func chartsObjects(t *testing.T, w *world, ns, hostNS string) {
	t.Helper()
	binding := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: hostNS, Name: "db", Labels: map[string]string{platformv1alpha1.LabelBinding: "db"}}}
	for _, obj := range []client.Object{
		simplePod(hostNS, "db"), outsideService(hostNS, "db"), writtenSlice(hostNS, "db", "db", "192.0.2.1"), binding, simpleClaim(hostNS, "db"),
	} {
		create(t, w.host.Client, obj)
	}
	await[corev1.Pod](t, w.virtual.Client, ns, "db", nil)
	await[discoveryv1.EndpointSlice](t, w.virtual.Client, ns, "db", nil)
	await[corev1.Secret](t, w.virtual.Client, ns, "db", nil)
	await[corev1.PersistentVolumeClaim](t, w.virtual.Client, ns, "db", nil)
}

// awaitIdle waits until no controller of the syncer has anything to do, which is so when the backlog is
// what an earlier, stopped syncer left uncounted. Twice in a row, because a request is for a moment in no one's hands.
func awaitIdle(t *testing.T, stopped float64) {
	t.Helper()
	idle := 0
	testenv.Eventually(t, func(context.Context) error {
		now := backlog(t)
		if now != stopped {
			idle = 0
			return fmt.Errorf("%v requests are waiting or worked on", now-stopped)
		}
		idle++
		return want(idle > 1, "idle only just now")
	})
}

// backlog counts the requests that wait in the syncer's queues or are worked on, from its metrics.
func backlog(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, family := range families {
		if name := family.GetName(); name != "workqueue_depth" && name != "controller_runtime_active_workers" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "controller" && strings.HasPrefix(label.GetValue(), "syncer-") {
					total += metric.GetGauge().GetValue()
				}
			}
		}
	}
	return total
}

// versions has the resource version of everything that is synced, on both sides.
func versions(t *testing.T, w *world) map[string]string {
	t.Helper()
	all := map[string]string{}
	for side, c := range map[string]client.Client{"host": w.host.Client, "virtual": w.virtual.Client} {
		for _, kind := range []client.Object{
			&corev1.Pod{}, &corev1.Service{}, &corev1.ConfigMap{}, &corev1.Secret{}, &corev1.PersistentVolumeClaim{}, &corev1.PersistentVolume{},
			&corev1.Namespace{}, &discoveryv1.EndpointSlice{}, &networkingv1.Ingress{}, &policyv1.PodDisruptionBudget{},
			untyped(namespacedReleaseKind), untyped(clusterReleaseKind),
		} {
			objects, err := listObjects(t.Context(), c, kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range objects {
				if object.GetNamespace() != "kube-system" {
					all[fmt.Sprintf("%s %T %s", side, kind, client.ObjectKeyFromObject(object))] = object.GetResourceVersion()
				}
			}
		}
	}
	return all
}

// sameVersions says what was made or written, the story's own markers apart.
func sameVersions(before, after map[string]string) error {
	var written []error
	for name, version := range after {
		if before[name] != version && !strings.Contains(name, "/marker-") {
			written = append(written, fmt.Errorf("%s was written", name))
		}
	}
	return errors.Join(written...)
}
