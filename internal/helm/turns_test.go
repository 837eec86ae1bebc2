// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// A tenant's charts have hooks that do not end. Another tenant's Release is installed meanwhile, and the first
// tenant's own go on one after another as soon as the hooks end.
func TestATenantDoesNotHoldUpOthers(t *testing.T) {
	const slow = 6
	w := newWorld(t, Options{Catalog: tinyChart(map[string]string{"hook.yaml": `{{ if .Values.slow }}
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-prepare
  annotations: {helm.sh/hook: pre-install}
spec:
  automountServiceAccountToken: false
  restartPolicy: Never
  containers: [{name: prepare, image: x}]
{{ end }}
`}, "1.0.0")}).allow()
	w.serviceAccount()
	for i := range slow {
		w.create(w.releaseOf(fmt.Sprintf("slow-%d", i), "tiny", "1.0.0", `{"slow":true}`))
	}
	w.eventually(func() error {
		if n := len(w.hookPods()); n < 4 {
			return fmt.Errorf("%d hooks run, want 4", n)
		}
		return nil
	})

	other := w.neighbour().allow()
	other.create(other.releaseOf("quick", "tiny", "1.0.0", ""))
	other.until("quick", deployedAt(1))

	for range slow {
		w.eventually(func() error {
			for _, pod := range w.hookPods() {
				if pod.Status.Phase == corev1.PodSucceeded {
					continue
				}
				pod.Status.Phase = corev1.PodSucceeded
				return w.Client.Status().Update(t.Context(), &pod)
			}
			return fmt.Errorf("no hook runs")
		})
	}
	for i := range slow {
		w.until(fmt.Sprintf("slow-%d", i), deployedAt(1))
	}
}

// neighbour is another tenant of the same engine.
func (w *world) neighbour() *world {
	w.t.Helper()
	other := *w
	other.vc = w.Namespace(w.t)
	other.ns = platformv1alpha1.HostNamespace(other.vc, "default")
	other.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other.ns, Labels: map[string]string{
		platformv1alpha1.LabelVirtualCluster:   other.vc,
		platformv1alpha1.LabelVirtualNamespace: "default",
	}}})
	return &other
}

func (w *world) hookPods() []corev1.Pod {
	w.t.Helper()
	pods := &corev1.PodList{}
	if err := w.Client.List(w.t.Context(), pods, client.InNamespace(w.ns)); err != nil {
		w.t.Fatal(err)
	}
	return pods.Items
}

// Whoever waits is called in the end, also when the one called before does not come.
func TestTurns(t *testing.T) {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	turns := newTurns(2)
	if err := turns.start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	of := func(name string) reconcile.Request {
		return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
	}
	for name, want := range map[string]bool{"a": true, "b": true} {
		if turns.enter("bay", of(name)) != want {
			t.Fatalf("%s: not %t", name, want)
		}
	}
	for _, name := range []string{"c", "d", "c", "e"} {
		if turns.enter("bay", of(name)) {
			t.Fatalf("%s has a third turn", name)
		}
	}
	if !turns.enter("cove", of("other")) {
		t.Error("another tenant has no turn")
	}
	turns.leave("bay")
	if first, _ := queue.Get(); first != of("c") || queue.Len() != 0 {
		t.Errorf("called %v and %d more, want c alone", first, queue.Len())
	}
	turns.leave("bay") // c never came
	if queue.Len() != 2 || len(turns.waiting) != 0 {
		t.Errorf("%d are called and %v wait, want d and e called", queue.Len(), turns.waiting)
	}
}
