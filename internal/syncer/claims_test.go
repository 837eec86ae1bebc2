// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

func simpleClaim(namespace, name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
}

// letGo removes the finalizer of Kubernetes' own protection, whose controller does not run here.
func letGo(t *testing.T, c client.Client, claim *corev1.PersistentVolumeClaim) {
	t.Helper()
	update(t, c, claim, func() {
		kept := claim.Finalizers[:0]
		for _, finalizer := range claim.Finalizers {
			if finalizer != "kubernetes.io/pvc-protection" {
				kept = append(kept, finalizer)
			}
		}
		claim.Finalizers = kept
	})
}

func claimFollows(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "claims")
	virtual := simpleClaim(ns, "data")
	create(t, w.virtual.Client, virtual)
	letGo(t, w.virtual.Client, virtual)
	host := await[corev1.PersistentVolumeClaim](t, w.host.Client, hostNS, "data", nil)
	letGo(t, w.host.Client, host)

	update(t, w.host.Client, host, func() { host.Spec.VolumeName = "pv-1" })
	setStatus(t, w.host.Client, host, func() {
		host.Status.Phase = corev1.ClaimBound
		host.Status.Capacity = host.Spec.Resources.Requests
	})
	await(t, w.virtual.Client, ns, "data", func(c *corev1.PersistentVolumeClaim) error {
		return want(c.Status.Phase == corev1.ClaimBound && c.Spec.VolumeName == "pv-1", "the claim is %s with volume %q", c.Status.Phase, c.Spec.VolumeName)
	})

	update(t, w.host.Client, host, func() { host.Finalizers = append(host.Finalizers, "example.com/slow") })
	if err := w.virtual.Client.Delete(t.Context(), virtual); err != nil {
		t.Fatal(err)
	}
	await(t, w.host.Client, hostNS, "data", func(c *corev1.PersistentVolumeClaim) error {
		return want(c.DeletionTimestamp != nil, "the host claim is not being deleted")
	})
	await[corev1.PersistentVolumeClaim](t, w.virtual.Client, ns, "data", nil)
	update(t, w.host.Client, host, func() { host.Finalizers = nil })
	gone(t, w.virtual.Client, &corev1.PersistentVolumeClaim{}, ns, "data")
}

// claimLost deletes, on the host, the claim of a database. A new one would be an empty disk.
func claimLost(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "claim-lost")
	virtual := simpleClaim(ns, "data")
	create(t, w.virtual.Client, virtual)
	letGo(t, w.virtual.Client, virtual)
	host := await[corev1.PersistentVolumeClaim](t, w.host.Client, hostNS, "data", nil)
	bindOnHost(t, w, host, "", "pv-lost")
	await[corev1.PersistentVolume](t, w.virtual.Client, "", "pv-lost", nil)
	if err := w.host.Client.Delete(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	await(t, w.virtual.Client, ns, "data", func(c *corev1.PersistentVolumeClaim) error { return wantEqual(c.Status.Phase, corev1.ClaimLost) })
	gone(t, w.virtual.Client, &corev1.PersistentVolume{}, "", "pv-lost")
	// A Pod brings what it uses, but not this.
	pod := simplePod(ns, "db")
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	create(t, w.virtual.Client, pod)
	await[corev1.Pod](t, w.host.Client, hostNS, "db", nil)
	if err := w.host.Client.Get(t.Context(), client.ObjectKeyFromObject(host), host); err == nil {
		t.Error("the host has a claim of the name again, and it is empty")
	}
	if err := w.virtual.Client.Delete(t.Context(), virtual); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.PersistentVolumeClaim{}, ns, "data")
	create(t, w.virtual.Client, simpleClaim(ns, "data"))
	await[corev1.PersistentVolumeClaim](t, w.host.Client, hostNS, "data", nil)
}

func bindingMirrored(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "bindings")
	w.open(t, ns)
	binding := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: hostNS, Name: "db-binding", Labels: map[string]string{platformv1alpha1.LabelBinding: "db"}},
		Type:       "servicebinding.io/postgresql", StringData: map[string]string{"host": "db"},
	}
	private := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: hostNS, Name: "private"}}
	claim := simpleClaim(hostNS, "data-db-0")
	for _, obj := range []client.Object{private, binding, claim} {
		create(t, w.host.Client, obj)
	}
	virtual := await[corev1.Secret](t, w.virtual.Client, ns, "db-binding", nil)
	if string(virtual.Data["host"]) != "db" || virtual.Type != binding.Type || !mirrored(virtual) {
		t.Errorf("the mirror is %s %v with labels %v", virtual.Type, virtual.Data, virtual.Labels)
	}
	mirror := await[corev1.PersistentVolumeClaim](t, w.virtual.Client, ns, "data-db-0", nil)
	letGo(t, w.virtual.Client, mirror)
	if err := w.virtual.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "private"}, &corev1.Secret{}); err == nil {
		t.Error("a Secret that is not offered appeared")
	}
	update(t, w.host.Client, binding, func() { binding.Data["host"] = []byte("db2") })
	await(t, w.virtual.Client, ns, "db-binding", func(s *corev1.Secret) error {
		return want(string(s.Data["host"]) == "db2", "mirror has %s", s.Data["host"])
	})

	if err := w.host.Client.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Secret{}, ns, "db-binding")
	letGo(t, w.host.Client, claim)
	if err := w.host.Client.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.PersistentVolumeClaim{}, ns, "data-db-0")
}
