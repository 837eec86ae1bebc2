// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	corev1 "k8s.io/api/core/v1"
)

// leftAlone says which virtual Services have no counterpart on the host: the virtual
// cluster's own API server and DNS, which stand in the home namespace.
func (t translator) leftAlone(service *corev1.Service) bool {
	if service.Namespace == "default" && service.Name == "kubernetes" {
		return true
	}
	ip := service.Spec.ClusterIP
	return ip != "" && (ip == t.serviceIP || ip == t.dnsIP)
}

// hostService is the Service to create on the host. A cluster IP or node port that the virtual
// Service has already is asked for; else the host chooses.
func (t translator) hostService(virtual *corev1.Service) *corev1.Service {
	return &corev1.Service{ObjectMeta: t.hostMeta(virtual), Spec: *virtual.Spec.DeepCopy()}
}

// mergeService brings a host Service to what the virtual one says. Addresses that
// the host chose stay as long as the type that has them does.
func (t translator) mergeService(host, virtual *corev1.Service) {
	mergeMeta(host, t.hostLabels(virtual), hostAnnotations(virtual))
	before := host.Spec
	host.Spec = *virtual.Spec.DeepCopy()
	if host.Spec.HealthCheckNodePort == 0 {
		host.Spec.HealthCheckNodePort = before.HealthCheckNodePort
	}
	if len(host.Spec.IPFamilies) == 0 {
		host.Spec.IPFamilies, host.Spec.IPFamilyPolicy = before.IPFamilies, before.IPFamilyPolicy
	}
	if host.Spec.Type != corev1.ServiceTypeExternalName && host.Spec.ClusterIP == "" {
		host.Spec.ClusterIP, host.Spec.ClusterIPs = before.ClusterIP, before.ClusterIPs
	}
	for i := range host.Spec.Ports {
		if port := &host.Spec.Ports[i]; port.NodePort == 0 && hasNodePorts(host.Spec.Type) {
			port.NodePort = nodePortOf(before.Ports, *port)
		}
	}
}

func hasNodePorts(kind corev1.ServiceType) bool {
	return kind == corev1.ServiceTypeNodePort || kind == corev1.ServiceTypeLoadBalancer
}

// nodePortOf finds the node port of the same port and protocol.
func nodePortOf(ports []corev1.ServicePort, of corev1.ServicePort) int32 {
	for _, port := range ports {
		if port.Port == of.Port && port.Protocol == of.Protocol {
			return port.NodePort
		}
	}
	return 0
}

// withHostPorts writes the node ports that the host chose into the virtual Service; true when one differs.
func withHostPorts(virtual, host *corev1.Service) bool {
	if !hasNodePorts(virtual.Spec.Type) || !hasNodePorts(host.Spec.Type) {
		return false
	}
	changed := false
	for i := range virtual.Spec.Ports {
		port := &virtual.Spec.Ports[i]
		if chosen := nodePortOf(host.Spec.Ports, *port); chosen != 0 && chosen != port.NodePort {
			port.NodePort = chosen
			changed = true
		}
	}
	return changed
}

// withoutNodePorts asks the host to choose every node port anew.
func withoutNodePorts(service *corev1.Service) {
	for i := range service.Spec.Ports {
		service.Spec.Ports[i].NodePort = 0
	}
	service.Spec.HealthCheckNodePort = 0
}

// mirrorService is a chart's Service in the virtual cluster, at the same addresses.
func mirrorService(namespace string, host *corev1.Service) *corev1.Service {
	return &corev1.Service{ObjectMeta: mirrorMeta(namespace, host), Spec: *host.Spec.DeepCopy()}
}

// mergeMirrorService brings a mirrored Service up to date.
func mergeMirrorService(virtual, host *corev1.Service) {
	mergeMirrorMeta(virtual, host)
	virtual.Spec = *host.Spec.DeepCopy()
}
