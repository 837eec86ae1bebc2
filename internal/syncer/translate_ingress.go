// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import networkingv1 "k8s.io/api/networking/v1"

// hostIngress is the Ingress to create on the host. Its class is one of the host's, or the host's default.
func (t translator) hostIngress(virtual *networkingv1.Ingress) *networkingv1.Ingress {
	return &networkingv1.Ingress{ObjectMeta: t.hostMeta(virtual), Spec: *virtual.Spec.DeepCopy()}
}

// mergeIngress brings a host Ingress to what the virtual one says. A class that the host chose stays.
func (t translator) mergeIngress(host, virtual *networkingv1.Ingress) {
	mergeMeta(host, t.hostLabels(virtual), hostAnnotations(virtual))
	class := host.Spec.IngressClassName
	host.Spec = *virtual.Spec.DeepCopy()
	if host.Spec.IngressClassName == nil {
		host.Spec.IngressClassName = class
	}
}

// mirrorIngress is a chart's Ingress in the virtual cluster.
func mirrorIngress(namespace string, host *networkingv1.Ingress) *networkingv1.Ingress {
	return &networkingv1.Ingress{ObjectMeta: mirrorMeta(namespace, host), Spec: *host.Spec.DeepCopy()}
}

// mergeMirrorIngress brings a mirrored Ingress up to date.
func mergeMirrorIngress(virtual, host *networkingv1.Ingress) {
	mergeMirrorMeta(virtual, host)
	virtual.Spec = *host.Spec.DeepCopy()
}
