// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// managedBy of the EndpointSlices that we write on the host: the host's own controllers
// delete slices that carry their names.
const managedBy = "skerry-syncer"

// syncedSlice says whether a virtual EndpointSlice is one that the host cannot compute
// itself: an endpoint list that somebody wrote for a Service without a selector.
func (t translator) syncedSlice(slice *discoveryv1.EndpointSlice, service *corev1.Service) bool {
	return service != nil && len(service.Spec.Selector) == 0 && !t.leftAlone(service) && !mirrored(service) &&
		service.Spec.Type != corev1.ServiceTypeExternalName &&
		slice.Labels[discoveryv1.LabelManagedBy] != "endpointslice-controller.k8s.io"
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

// copyEndpoints copies everything but references to virtual objects.
func copyEndpoints(to, from *discoveryv1.EndpointSlice) {
	from = from.DeepCopy()
	to.AddressType = from.AddressType
	to.Ports = from.Ports
	to.Endpoints = from.Endpoints
	for i := range to.Endpoints {
		to.Endpoints[i].TargetRef = nil
	}
}
