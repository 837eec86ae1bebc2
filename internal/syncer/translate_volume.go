// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// volumeDriver stands in a virtual PersistentVolume for the driver that only the host knows.
// Its handle is "HOST NAMESPACE/CLAIM".
const volumeDriver = "host.platform.skerry.dev"

func bound(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Status.Phase == corev1.ClaimBound && claim.Spec.VolumeName != ""
}

// sameVolume says whether two states of a claim make the same PersistentVolume.
func sameVolume(a, b client.Object) bool {
	before, isClaim := a.(*corev1.PersistentVolumeClaim)
	after, both := b.(*corev1.PersistentVolumeClaim)
	return isClaim && both && before.UID == after.UID && before.Spec.VolumeName == after.Spec.VolumeName &&
		ptr.Equal(before.Spec.StorageClassName, after.Spec.StorageClassName) &&
		equality.Semantic.DeepEqual(before.Status, after.Status)
}

// virtualVolume is the PersistentVolume of a bound claim, as far as the claim tells: name, size, access modes, class and
// whose it is. Where the disk is and on which nodes it can be used only the host knows.
func (t translator) virtualVolume(claim *corev1.PersistentVolumeClaim, policy corev1.PersistentVolumeReclaimPolicy) *corev1.PersistentVolume {
	claim = claim.DeepCopy()
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:   claim.Spec.VolumeName,
			Labels: map[string]string{platformv1alpha1.LabelOwner: platformv1alpha1.OwnerHost},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    claim.Status.Capacity,
			AccessModes: claim.Status.AccessModes,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              ptr.Deref(claim.Spec.StorageClassName, ""),
			VolumeMode:                    claim.Spec.VolumeMode,
			VolumeAttributesClassName:     claim.Status.CurrentVolumeAttributesClassName,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: volumeDriver, VolumeHandle: t.hostNamespace(claim.Namespace) + "/" + claim.Name,
			}},
		},
	}
}

// sameDisk compares what cannot change in a PersistentVolume.
func sameDisk(have, wanted *corev1.PersistentVolume) bool {
	return have.Spec.CSI != nil && have.Spec.CSI.Driver == wanted.Spec.CSI.Driver && have.Spec.CSI.VolumeHandle == wanted.Spec.CSI.VolumeHandle &&
		ptr.Deref(have.Spec.VolumeMode, corev1.PersistentVolumeFilesystem) == ptr.Deref(wanted.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
}

// mergeVolume brings a virtual PersistentVolume to what its claim says now.
func mergeVolume(volume, wanted *corev1.PersistentVolume) {
	before := volume.Spec
	volume.Spec = wanted.Spec
	volume.Spec.PersistentVolumeSource, volume.Spec.VolumeMode = before.PersistentVolumeSource, before.VolumeMode
	if volume.Spec.VolumeAttributesClassName == nil {
		volume.Spec.VolumeAttributesClassName = before.VolumeAttributesClassName
	}
}
