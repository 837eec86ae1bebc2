// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

const (
	// managedBy of the EndpointSlices that we write, on both sides: each side's own controllers
	// delete slices that carry their names.
	managedBy = "skerry-syncer"
	// computedBy is the name of the controller that computes a Service's slices from the Pods that
	// it selects (k8s.io/kubernetes/pkg/controller/endpointslice).
	computedBy = "endpointslice-controller.k8s.io"
)

// syncedSlice says whether a virtual EndpointSlice is one that the host cannot compute
// itself: an endpoint list that somebody wrote, as such or as Endpoints, for a Service of the virtual cluster.
func (t translator) syncedSlice(slice *discoveryv1.EndpointSlice, service *corev1.Service) bool {
	return service != nil && !t.leftAlone(service) && !mirrored(service) && written(slice, service)
}

// offeredSlice says the same of a host EndpointSlice of a chart's Service, given the Service's mirror.
func offeredSlice(slice *discoveryv1.EndpointSlice, service *corev1.Service) bool {
	return service != nil && mirrored(service) && written(slice, service)
}

func written(slice *discoveryv1.EndpointSlice, service *corev1.Service) bool {
	return slice.Labels[discoveryv1.LabelManagedBy] != computedBy && service.Spec.Type != corev1.ServiceTypeExternalName
}

// sliceFromVirtual says whether a host EndpointSlice was made from a virtual one. The labels of the owner alone do
// not tell: the host's controller copies a Service's labels to the slices that it computes.
func (t translator) sliceFromVirtual(host *discoveryv1.EndpointSlice) bool {
	return t.madeFromVirtual(host) && host.Labels[discoveryv1.LabelManagedBy] == managedBy
}

// mirroredSlice says the same of a virtual EndpointSlice that was made from a host one.
func mirroredSlice(virtual *discoveryv1.EndpointSlice) bool {
	return mirrored(virtual) && virtual.Labels[discoveryv1.LabelManagedBy] == managedBy
}

// hostSlice is the EndpointSlice to create on the host.
func (t translator) hostSlice(virtual *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{ObjectMeta: t.hostMeta(virtual)}
	slice.Labels[discoveryv1.LabelManagedBy] = managedBy
	copyEndpoints(slice, virtual)
	return slice
}

// mergeSlice brings a host EndpointSlice to what the virtual one says.
func (t translator) mergeSlice(host, virtual *discoveryv1.EndpointSlice) {
	labels := t.hostLabels(virtual)
	labels[discoveryv1.LabelManagedBy] = managedBy
	mergeMeta(host, labels, hostAnnotations(virtual))
	copyEndpoints(host, virtual)
}

// mirrorSlice is the EndpointSlice of a chart's Service in the virtual cluster.
func mirrorSlice(namespace string, host *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{ObjectMeta: mirrorMeta(namespace, host)}
	slice.Labels[discoveryv1.LabelManagedBy] = managedBy
	copyEndpoints(slice, host)
	return slice
}

// mergeMirrorSlice brings a mirrored EndpointSlice up to date.
func mergeMirrorSlice(virtual, host *discoveryv1.EndpointSlice) {
	mergeMirrorMeta(virtual, host)
	virtual.Labels[discoveryv1.LabelManagedBy] = managedBy
	copyEndpoints(virtual, host)
}

// copyEndpoints copies everything but references to objects of the side that it comes from. Addresses pass as they
// are: both API servers refuse loopback and link-local ones.
func copyEndpoints(to, from *discoveryv1.EndpointSlice) {
	from = from.DeepCopy()
	to.AddressType = from.AddressType
	to.Ports = from.Ports
	to.Endpoints = from.Endpoints
	for i := range to.Endpoints {
		to.Endpoints[i].TargetRef = nil
	}
}
