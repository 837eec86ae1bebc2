// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// virtualFields are the fields of the downward API whose value on the host is another one, and the annotations
// of the host Pod that hold the virtual one.
var virtualFields = map[string]string{
	"metadata.namespace":      platformv1alpha1.AnnotationVirtualNamespace,
	"metadata.uid":            platformv1alpha1.AnnotationVirtualUID,
	"spec.serviceAccountName": platformv1alpha1.AnnotationVirtualServiceAccount,
	allLabels:                 platformv1alpha1.AnnotationVirtualLabels,
	allAnnotations:            platformv1alpha1.AnnotationVirtualAnnotations,
}

// Whole maps, which only volumes may ask for. One label or annotation is the same on both sides.
const (
	allLabels      = "metadata.labels"
	allAnnotations = "metadata.annotations"
)

// podAnnotations are hostAnnotations and what the downward API answers from. The whole maps are copied only for Pods that
// mount them: an object's annotations may have 256 KiB in all.
func (t translator) podAnnotations(virtual *corev1.Pod) map[string]string {
	annotations := hostAnnotations(virtual)
	annotations[platformv1alpha1.AnnotationVirtualNamespace] = virtual.Namespace
	annotations[platformv1alpha1.AnnotationVirtualServiceAccount] = serviceAccount(virtual)
	if mountsField(virtual, allLabels) {
		annotations[platformv1alpha1.AnnotationVirtualLabels] = formatMap(virtual.Labels)
	}
	if mountsField(virtual, allAnnotations) {
		annotations[platformv1alpha1.AnnotationVirtualAnnotations] = formatMap(virtual.Annotations)
	}
	return annotations
}

// mountsField says whether a volume of the Pod shows a field.
func mountsField(pod *corev1.Pod, path string) bool {
	shows := func(item corev1.DownwardAPIVolumeFile) bool {
		return item.FieldRef != nil && item.FieldRef.FieldPath == path
	}
	return slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
		if volume.DownwardAPI != nil && slices.ContainsFunc(volume.DownwardAPI.Items, shows) {
			return true
		}
		return volume.Projected != nil && slices.ContainsFunc(volume.Projected.Sources, func(source corev1.VolumeProjection) bool {
			return source.DownwardAPI != nil && slices.ContainsFunc(source.DownwardAPI.Items, shows)
		})
	})
}

// formatMap writes a map as the kubelet does: a line KEY="VALUE" for each, in order of the
// keys (k8s.io/kubernetes/pkg/fieldpath.FormatMap).
func formatMap(m map[string]string) string {
	lines := make([]string, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		lines = append(lines, key+"="+strconv.Quote(m[key]))
	}
	return strings.Join(lines, "\n")
}

func rewriteDownward(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		rewriteField(items[i].FieldRef)
	}
}

// rewriteField points a downward API field whose value is another one on the host
// at the annotation that holds the virtual one.
func rewriteField(field *corev1.ObjectFieldSelector) {
	if field == nil {
		return
	}
	if annotation := virtualFields[field.FieldPath]; annotation != "" {
		field.FieldPath = "metadata.annotations['" + annotation + "']"
	}
}
