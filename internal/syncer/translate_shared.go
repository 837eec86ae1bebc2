// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// sharedLabels are the labels of a cluster-wide host object in the virtual cluster.
func sharedLabels(host metav1.Object) map[string]string {
	labels := maps.Clone(host.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	labels[platformv1alpha1.LabelOwner] = platformv1alpha1.OwnerHost
	return labels
}

// virtualNode is what a tenant sees of a host node: where its Pods may go. Left out are the
// images and volumes on it, which tell about other tenants, and the time
// of the last heartbeat, which would make every node a write per tenant and minute.
func virtualNode(host *corev1.Node) *corev1.Node {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: host.Name, Labels: sharedLabels(host)},
		Spec: corev1.NodeSpec{
			Taints:        host.DeepCopy().Spec.Taints,
			Unschedulable: host.Spec.Unschedulable,
		},
		Status: corev1.NodeStatus{
			Capacity:    host.Status.Capacity.DeepCopy(),
			Allocatable: host.Status.Allocatable.DeepCopy(),
			Addresses:   host.DeepCopy().Status.Addresses,
			NodeInfo:    host.Status.NodeInfo,
		},
	}
	node.Status.NodeInfo.MachineID, node.Status.NodeInfo.SystemUUID, node.Status.NodeInfo.BootID = "", "", ""
	for _, condition := range host.Status.Conditions {
		condition.LastHeartbeatTime = metav1.Time{}
		node.Status.Conditions = append(node.Status.Conditions, condition)
	}
	return node
}

// mergeNode brings a virtual node to what the host's is.
func mergeNode(virtual, wanted *corev1.Node) {
	virtual.Labels = wanted.Labels
	virtual.Spec.Taints = wanted.Spec.Taints
	virtual.Spec.Unschedulable = wanted.Spec.Unschedulable
}

// virtualStorageClass is what a tenant sees of a host storage class; its parameters are
// the host's business.
func virtualStorageClass(host *storagev1.StorageClass) *storagev1.StorageClass {
	class := host.DeepCopy()
	class.ObjectMeta = metav1.ObjectMeta{Name: host.Name, Labels: sharedLabels(host), Annotations: map[string]string{}}
	for _, key := range []string{"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"} {
		if value, set := host.Annotations[key]; set {
			class.Annotations[key] = value
		}
	}
	class.Parameters = nil
	return class
}

// virtualDefinition is a platform definition in the virtual cluster.
func virtualDefinition(host *unstructured.Unstructured) *unstructured.Unstructured {
	definition := &unstructured.Unstructured{Object: map[string]any{}}
	definition.SetGroupVersionKind(host.GroupVersionKind())
	definition.SetName(host.GetName())
	definition.SetNamespace(platformv1alpha1.DefinitionNamespace)
	definition.SetLabels(sharedLabels(host))
	annotations := host.GetAnnotations()
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	if len(annotations) > 0 {
		definition.SetAnnotations(annotations)
	}
	if spec, found := host.DeepCopy().Object["spec"]; found {
		definition.Object["spec"] = spec
	}
	return definition
}
