// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// bindOnHost plays the host's volume controller and its default storage class.
func bindOnHost(t *testing.T, w *world, host *corev1.PersistentVolumeClaim, class, volume string) {
	t.Helper()
	letGo(t, w.host.Client, host)
	update(t, w.host.Client, host, func() {
		host.Spec.StorageClassName = ptr.To(class)
		host.Spec.VolumeName = volume
	})
	setStatus(t, w.host.Client, host, func() {
		host.Status.Phase = corev1.ClaimBound
		host.Status.Capacity = host.Spec.Resources.Requests
		host.Status.AccessModes = host.Spec.AccessModes
	})
}

func volumeSeen(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "volumes")
	class := &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: "kept"},
		Provisioner: "example.com/disk", ReclaimPolicy: ptr.To(corev1.PersistentVolumeReclaimRetain),
	}
	create(t, w.host.Client, class)
	await[storagev1.StorageClass](t, w.virtual.Client, "", "kept", nil)
	claim := simpleClaim(ns, "data")
	create(t, w.virtual.Client, claim)
	letGo(t, w.virtual.Client, claim)
	host := await[corev1.PersistentVolumeClaim](t, w.host.Client, hostNS, "data", nil)
	// Of another tenant, or of nobody: no business of this virtual cluster.
	foreign := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-foreign"}, Spec: corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: claim.Spec.AccessModes,
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/secret"}},
	}}
	create(t, w.host.Client, foreign)
	bindOnHost(t, w, host, "kept", "pv-volumes")

	volume := await(t, w.virtual.Client, "", "pv-volumes", func(pv *corev1.PersistentVolume) error {
		return want(pv.Status.Phase == corev1.VolumeBound, "the volume is %q", pv.Status.Phase)
	})
	await(t, w.virtual.Client, ns, "data", func(c *corev1.PersistentVolumeClaim) error {
		claim = c
		return want(ptr.Deref(c.Spec.StorageClassName, "") == "kept", "the claim's class is %v, the host's default is kept", c.Spec.StorageClassName)
	})
	wanted := w.syncer.tenant.virtualVolume(claim, corev1.PersistentVolumeReclaimRetain).Spec
	if diff := cmp.Diff(wanted, volume.Spec); diff != "" {
		t.Errorf("the volume is not what the claim says:\n%s", diff)
	}
	// The host makes the disk larger.
	setStatus(t, w.host.Client, host, func() { host.Status.Capacity[corev1.ResourceStorage] = resource.MustParse("2Gi") })
	await(t, w.virtual.Client, "", "pv-volumes", func(pv *corev1.PersistentVolume) error {
		return want(pv.Spec.Capacity.Storage().String() == "2Gi", "the volume has %s", pv.Spec.Capacity.Storage())
	})
	volumes := &corev1.PersistentVolumeList{}
	if err := w.virtual.Client.List(t.Context(), volumes); err != nil || len(volumes.Items) != 1 {
		t.Errorf("the virtual cluster sees %d volumes (%v), want its own", len(volumes.Items), err)
	}

	if err := w.virtual.Client.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.PersistentVolumeClaim{}, ns, "data")
	gone(t, w.virtual.Client, &corev1.PersistentVolume{}, "", "pv-volumes")
	for _, obj := range []client.Object{class, foreign} {
		if err := w.host.Client.Delete(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
}
