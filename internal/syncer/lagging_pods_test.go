// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podLags removes the host Pod of one of which the cache does not know yet that it succeeded.
func podLags(t *testing.T, w *world, tenant *tenant) {
	in := lagsSpace(w)
	pod := simplePod(in.virtual, "job-1")
	pod.Finalizers = []string{"batch.kubernetes.io/job-tracking"}
	create(t, w.virtual.Client, pod)
	shown := pod.DeepCopy()
	shown.Status.Phase, shown.Status.StartTime = corev1.PodRunning, ptr.To(metav1.Now())
	setStatus(t, w.virtual.Client, pod, func() { pod.Status.Phase = corev1.PodSucceeded })
	steps := &pods{tenant: tenant, refs: &referenced{tenant}, tokens: &tokens{tenant}}
	p := podPair{key: client.ObjectKeyFromObject(pod), space: in, virtual: shown}
	if _, err := steps.down(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if now := await[corev1.Pod](t, w.virtual.Client, in.virtual, "job-1", nil); now.Status.Phase != corev1.PodSucceeded {
		t.Errorf("the Job's Pod succeeded, and is counted as %s", now.Status.Phase)
	}
	update(t, w.virtual.Client, pod, func() { pod.Finalizers = nil })
}

// podNamesake reports what runs on the host to a Pod that was deleted by force and made anew meanwhile.
func podNamesake(t *testing.T, w *world, tenant *tenant) {
	in := lagsSpace(w)
	first, second := simplePod(in.virtual, "web-0"), simplePod(in.virtual, "web-0")
	for _, pod := range []*corev1.Pod{first, second} {
		pod.Spec.AutomountServiceAccountToken = ptr.To(false)
	}
	create(t, w.virtual.Client, first)
	host := tenant.hostPod(first)
	create(t, w.host.Client, host)
	setStatus(t, w.host.Client, host, func() { host.Status.Phase = corev1.PodRunning })
	if err := w.virtual.Client.Delete(t.Context(), first, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	create(t, w.virtual.Client, second)

	steps := &pods{tenant: tenant, refs: &referenced{tenant}, tokens: &tokens{tenant}}
	p := podPair{key: client.ObjectKeyFromObject(first), space: in, virtual: first, host: host.DeepCopy()}
	if _, err := steps.both(t.Context(), p); !apierrors.IsConflict(err) {
		t.Errorf("the step gives %v, want a conflict", err)
	}
	if now := await[corev1.Pod](t, w.virtual.Client, in.virtual, "web-0", nil); now.Status.Phase != corev1.PodPending {
		t.Errorf("the Pod made anew is said to be %s", now.Status.Phase)
	}
	if now := await[corev1.Pod](t, w.host.Client, in.host, "web-0", nil); virtualUID(now) == second.UID {
		t.Error("the host Pod of the one before is taken for that of the Pod made anew")
	}
}
