// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
)

// mirrorPod is a Pod that a chart made on the host, as it appears in the virtual
// cluster: nobody runs it from here, so it is reduced to what people and Services look
// at and what virtual admission accepts. Its status follows separately. Its controller is said to be its namespace: a Pod
// without one would be adopted by any DaemonSet or ReplicaSet whose labels it happens to have, and counted as its own.
func mirrorPod(namespace *corev1.Namespace, host *corev1.Pod) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: mirrorMeta(namespace.Name, host), Spec: *host.Spec.DeepCopy()}
	pod.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "Namespace", Name: namespace.Name, UID: namespace.UID, Controller: ptr.To(true),
	}}
	spec := &pod.Spec
	spec.ServiceAccountName = "default"
	spec.DeprecatedServiceAccount = ""
	spec.AutomountServiceAccountToken = ptr.To(false)
	spec.EphemeralContainers = nil
	spec.RuntimeClassName = nil
	spec.ResourceClaims = nil
	dropUnknownClasses(spec)
	dropTokenVolumes(spec)
	return pod
}

// dropTokenVolumes removes the volumes that hold service account tokens, and their mounts.
func dropTokenVolumes(spec *corev1.PodSpec) {
	dropped := sets.New[string]()
	spec.Volumes = slices.DeleteFunc(spec.Volumes, func(volume corev1.Volume) bool {
		if volume.Projected == nil || !slices.ContainsFunc(volume.Projected.Sources, func(s corev1.VolumeProjection) bool {
			return s.ServiceAccountToken != nil
		}) {
			return false
		}
		dropped.Insert(volume.Name)
		return true
	})
	eachContainer(spec, func(c *corev1.Container) {
		c.VolumeMounts = slices.DeleteFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return dropped.Has(m.Name) })
	})
}

// mergeMirrorPod brings a mirrored Pod's metadata and images up to date.
func mergeMirrorPod(virtual, host *corev1.Pod) {
	mergeMirrorMeta(virtual, host)
	mergeImages(virtual.Spec.InitContainers, host.Spec.InitContainers)
	mergeImages(virtual.Spec.Containers, host.Spec.Containers)
}
