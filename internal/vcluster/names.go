// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"net"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// servingNames are the names and addresses under which the API server of a virtual
// cluster is reached, and so what its certificate must carry: the Service NAME in the
// home namespace (also NAME), `kubernetes` as Pods inside call it, the
// ClusterIP, load-balancer addresses, and loopback for port-forwarding. Sorted.
func servingNames(name string, service *corev1.Service) (dns []string, ips []net.IP) {
	dns = []string{"localhost"}
	for _, of := range []struct{ service, namespace string }{{name, name}, {"kubernetes", "default"}} {
		full := of.service + "." + of.namespace
		dns = append(dns, of.service, full, full+".svc", full+".svc.cluster.local")
	}
	addresses := []string{"127.0.0.1", service.Spec.ClusterIP}
	addresses = append(addresses, service.Spec.ClusterIPs...)
	addresses = append(addresses, service.Spec.ExternalIPs...)
	for _, in := range service.Status.LoadBalancer.Ingress {
		addresses = append(addresses, in.IP)
		if in.Hostname != "" {
			dns = append(dns, in.Hostname)
		}
	}
	slices.Sort(addresses)
	for _, a := range slices.Compact(addresses) {
		if ip := net.ParseIP(a); ip != nil {
			ips = append(ips, ip)
		}
	}
	slices.Sort(dns)
	return slices.Compact(dns), ips
}

// endpoint is the URL of the API server from every namespace of the host cluster.
func endpoint(name string) string { return "https://" + name + "." + name + ".svc:443" }
