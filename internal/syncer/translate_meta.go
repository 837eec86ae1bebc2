// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"encoding/json"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// translator turns objects of one virtual cluster into what they are on the host,
// and back. It is pure: it reads nothing but its fields and its arguments, and never
// changes an argument.
type translator struct {
	cluster   string // the virtual cluster's name
	serviceIP string // of default/kubernetes inside it
	dnsIP     string // of its DNS
}

// hostNamespace stands on the host for a namespace of the virtual cluster.
func (t translator) hostNamespace(namespace string) string {
	return platformv1alpha1.HostNamespace(t.cluster, namespace)
}

// hostMeta is a virtual object's metadata for the host object that is made from it: same
// name, labels and annotations, and ours. Owner references and finalizers
// stay behind: they name objects and controllers that the host does not have.
func (t translator) hostMeta(virtual metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:        virtual.GetName(),
		Namespace:   t.hostNamespace(virtual.GetNamespace()),
		Labels:      t.hostLabels(virtual),
		Annotations: hostAnnotations(virtual),
	}
}

func (t translator) hostLabels(virtual metav1.Object) map[string]string {
	labels := maps.Clone(virtual.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels[platformv1alpha1.LabelVirtualCluster] = t.cluster
	labels[platformv1alpha1.LabelOwner] = platformv1alpha1.OwnerVirtual
	return labels
}

func hostAnnotations(virtual metav1.Object) map[string]string {
	annotations := maps.Clone(virtual.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[platformv1alpha1.AnnotationVirtualUID] = string(virtual.GetUID())
	return annotations
}

// mergeMeta writes wanted labels and annotations into a host object. Keys that somebody
// else wrote on the host (admission, a CNI plugin) stay; keys that we wrote and
// that are no longer wanted go.
func mergeMeta(host metav1.Object, labels, annotations map[string]string) {
	owned := func() ownedKeys { return ownedMeta(host.GetManagedFields()) }
	host.SetLabels(mergeKeys(host.GetLabels(), labels, func() map[string]bool { return owned().labels }))
	host.SetAnnotations(mergeKeys(host.GetAnnotations(), annotations, func() map[string]bool { return owned().annotations }))
}

// mergeKeys asks owned, which costs some parsing, only when there are keys that
// are not wanted.
func mergeKeys(have, wanted map[string]string, owned func() map[string]bool) map[string]string {
	merged := maps.Clone(have)
	if merged == nil {
		merged = map[string]string{}
	}
	var ours map[string]bool
	for key := range have {
		if _, keep := wanted[key]; keep {
			continue
		}
		if ours == nil {
			ours = owned()
		}
		if ours[key] {
			delete(merged, key)
		}
	}
	maps.Copy(merged, wanted)
	if len(merged) == 0 {
		return have
	}
	return merged
}

// equalMeta compares labels and annotations.
func equalMeta(a, b metav1.Object) bool {
	return maps.Equal(a.GetLabels(), b.GetLabels()) && maps.Equal(a.GetAnnotations(), b.GetAnnotations())
}

// ownedKeys are the labels and annotations that the syncer wrote on an object.
type ownedKeys struct{ labels, annotations map[string]bool }

// ownedMeta reads them from the object's managed fields (the FieldsV1 format:
// "f:metadata" -> "f:labels" -> "f:KEY").
func ownedMeta(fields []metav1.ManagedFieldsEntry) ownedKeys {
	owned := ownedKeys{labels: map[string]bool{}, annotations: map[string]bool{}}
	for _, entry := range fields {
		if entry.Manager != fieldOwner || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		var set struct {
			Metadata struct {
				Labels      map[string]json.RawMessage `json:"f:labels"`
				Annotations map[string]json.RawMessage `json:"f:annotations"`
			} `json:"f:metadata"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &set) != nil {
			continue // written by a newer API server: owning nothing removes nothing
		}
		addKeys(owned.labels, set.Metadata.Labels)
		addKeys(owned.annotations, set.Metadata.Annotations)
	}
	return owned
}

func addKeys(to map[string]bool, fields map[string]json.RawMessage) {
	for field := range fields {
		if key, isKey := strings.CutPrefix(field, "f:"); isKey {
			to[key] = true
		}
	}
}

// mirrorLabels are a host-made object's labels in the virtual cluster.
func mirrorLabels(host metav1.Object) map[string]string {
	labels := maps.Clone(host.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	delete(labels, platformv1alpha1.LabelVirtualCluster)
	labels[platformv1alpha1.LabelOwner] = platformv1alpha1.OwnerHost
	return labels
}

// mirrorMeta is a host-made object's metadata in the virtual cluster.
func mirrorMeta(namespace string, host metav1.Object) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{Name: host.GetName(), Namespace: namespace}
	mergeMirrorMeta(&meta, host)
	return meta
}

// mergeMirrorMeta brings a mirrored object up to date. Annotations that virtual
// controllers added stay.
func mergeMirrorMeta(virtual, host metav1.Object) {
	virtual.SetLabels(mirrorLabels(host))
	annotations := maps.Clone(virtual.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.Copy(annotations, host.GetAnnotations())
	annotations[platformv1alpha1.AnnotationHostUID] = string(host.GetUID())
	virtual.SetAnnotations(annotations)
}

// mirrorOf says whether a mirrored object was made from this host object, and not from one of the same name before it.
func mirrorOf(virtual, host metav1.Object) bool {
	return virtual.GetAnnotations()[platformv1alpha1.AnnotationHostUID] == string(host.GetUID())
}

// madeFromVirtual says whether the syncer of this virtual cluster made a host object.
func (t translator) madeFromVirtual(host metav1.Object) bool {
	labels := host.GetLabels()
	return labels[platformv1alpha1.LabelOwner] == platformv1alpha1.OwnerVirtual &&
		labels[platformv1alpha1.LabelVirtualCluster] == t.cluster
}

// mirrored says whether a virtual object was made from a host one.
func mirrored(virtual metav1.Object) bool {
	return virtual.GetLabels()[platformv1alpha1.LabelOwner] == platformv1alpha1.OwnerHost
}

// virtualUID is the UID of the virtual object that a host object was made from.
func virtualUID(host metav1.Object) types.UID {
	return types.UID(host.GetAnnotations()[platformv1alpha1.AnnotationVirtualUID])
}

// keepOwnFields drops, before an object enters a cache, the managed fields of everybody else.
func keepOwnFields(obj any) (any, error) {
	meta, isObject := obj.(metav1.Object)
	if !isObject {
		return obj, nil
	}
	var own []metav1.ManagedFieldsEntry
	for _, entry := range meta.GetManagedFields() {
		if entry.Manager == fieldOwner && entry.Subresource == "" {
			own = append(own, entry)
		}
	}
	meta.SetManagedFields(own)
	return obj, nil
}
