// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// controllerAnnotations begin the annotations that volume controllers write on a
// claim; each side has its own.
var controllerAnnotations = []string{"pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/storage-provisioner"}

func withoutControllerAnnotations(annotations map[string]string) map[string]string {
	kept := maps.Clone(annotations)
	maps.DeleteFunc(kept, func(key, _ string) bool {
		for _, prefix := range controllerAnnotations {
			if strings.HasPrefix(key, prefix) {
				return true
			}
		}
		return false
	})
	return kept
}

// hostClaim is the PersistentVolumeClaim to create on the host.
func (t translator) hostClaim(virtual *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: t.hostMeta(virtual), Spec: *virtual.Spec.DeepCopy()}
	claim.Annotations = withoutControllerAnnotations(claim.Annotations)
	if ref := claim.Spec.DataSourceRef; ref != nil && ref.Namespace != nil {
		namespace := t.hostNamespace(*ref.Namespace)
		ref.Namespace = &namespace
	}
	return claim
}

// mergeClaim writes into a host claim what may change: its size, its attributes class, its metadata.
func (t translator) mergeClaim(host, virtual *corev1.PersistentVolumeClaim) {
	mergeMeta(host, t.hostLabels(virtual), withoutControllerAnnotations(hostAnnotations(virtual)))
	if wanted, set := virtual.Spec.Resources.Requests[corev1.ResourceStorage]; set {
		if have := host.Spec.Resources.Requests[corev1.ResourceStorage]; have.Cmp(wanted) != 0 {
			if host.Spec.Resources.Requests == nil {
				host.Spec.Resources.Requests = corev1.ResourceList{}
			}
			host.Spec.Resources.Requests[corev1.ResourceStorage] = wanted
		}
	}
	if virtual.Spec.VolumeAttributesClassName != nil {
		host.Spec.VolumeAttributesClassName = virtual.Spec.VolumeAttributesClassName
	}
}

// hadData says whether a claim was once bound to a volume, which may be gone by now.
func hadData(claim *corev1.PersistentVolumeClaim) bool {
	return bound(claim) || claim.Status.Phase == corev1.ClaimLost
}

// withHostChoices writes into a virtual claim the class that is the host's default and the volume that the host found; true
// when one is news. Each may be written once.
func withHostChoices(virtual, host *corev1.PersistentVolumeClaim) bool {
	changed := false
	if virtual.Spec.StorageClassName == nil && host.Spec.StorageClassName != nil {
		virtual.Spec.StorageClassName = ptr.To(*host.Spec.StorageClassName)
		changed = true
	}
	if virtual.Spec.VolumeName == "" && host.Spec.VolumeName != "" {
		virtual.Spec.VolumeName = host.Spec.VolumeName
		changed = true
	}
	return changed
}

// mirrorClaim is a chart's claim in the virtual cluster.
func mirrorClaim(namespace string, host *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: mirrorMeta(namespace, host), Spec: *host.Spec.DeepCopy()}
	claim.Annotations = withoutControllerAnnotations(claim.Annotations)
	claim.Spec.DataSource, claim.Spec.DataSourceRef = nil, nil
	return claim
}

// mergeMirrorClaim brings a mirrored claim up to date.
func mergeMirrorClaim(virtual, host *corev1.PersistentVolumeClaim) {
	virtual.Labels = mirrorLabels(host)
	if wanted, set := host.Spec.Resources.Requests[corev1.ResourceStorage]; set {
		virtual.Spec.Resources.Requests[corev1.ResourceStorage] = wanted
	}
}
