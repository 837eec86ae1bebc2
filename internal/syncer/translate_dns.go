// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// The most that the API server accepts in a Pod's DNS configuration
// (k8s.io/kubernetes/pkg/apis/core/validation: MaxDNSNameservers, MaxDNSSearchPaths).
const (
	maxNameservers = 3
	maxSearches    = 32
)

// rewriteDNS sends a Pod that asks for the cluster's DNS to the virtual cluster's. ClusterFirst
// with the host's network means Default, as the kubelet reads it.
func (t translator) rewriteDNS(namespace string, spec *corev1.PodSpec) {
	switch spec.DNSPolicy {
	case corev1.DNSClusterFirst, "":
		if spec.HostNetwork {
			spec.DNSPolicy = corev1.DNSDefault
			return
		}
	case corev1.DNSClusterFirstWithHostNet:
	default:
		return
	}
	spec.DNSPolicy = corev1.DNSNone
	spec.DNSConfig = t.dnsConfig(namespace, spec.DNSConfig)
}

// dnsConfig is what the kubelet makes of ClusterFirst, merged with the Pod's own
// configuration in the kubelet's order: the cluster's servers and searches first, the Pod's options win.
func (t translator) dnsConfig(namespace string, own *corev1.PodDNSConfig) *corev1.PodDNSConfig {
	config := &corev1.PodDNSConfig{
		Nameservers: []string{t.dnsIP},
		Searches:    []string{namespace + ".svc.cluster.local", "svc.cluster.local", "cluster.local"},
		Options:     []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr.To("5")}},
	}
	if own == nil {
		return config
	}
	config.Nameservers = appendNew(config.Nameservers, own.Nameservers, maxNameservers)
	config.Searches = appendNew(config.Searches, own.Searches, maxSearches)
	for _, option := range own.Options {
		at := slices.IndexFunc(config.Options, func(o corev1.PodDNSConfigOption) bool { return o.Name == option.Name })
		if at < 0 {
			config.Options = append(config.Options, option)
		} else {
			config.Options[at] = option
		}
	}
	return config
}

// longestHostname is what the kubelet cuts a Pod's hostname to (k8s.io/kubernetes/pkg/kubelet: truncatePodHostnameIfNeeded), one
// less than Linux takes.
const longestHostname = 63

// rewriteHostname gives a Pod that wants its full name as its hostname the one that it has in the virtual cluster: the
// kubelet would make it of the host namespace's, and refuse the Pod when that is longer than 64. All other Pods keep their hostname;
// their full name (hostname -f) is the kubelet's, which the virtual cluster's DNS knows too.
func rewriteHostname(virtual *corev1.Pod, spec *corev1.PodSpec) {
	if !ptr.Deref(spec.SetHostnameAsFQDN, false) || spec.Subdomain == "" || spec.HostNetwork || spec.HostnameOverride != nil {
		return
	}
	name := spec.Hostname
	if name == "" {
		name = virtual.Name
	}
	full := name + "." + spec.Subdomain + "." + virtual.Namespace + ".svc.cluster.local"
	if len(full) > longestHostname {
		return
	}
	spec.HostnameOverride = &full
	spec.SetHostnameAsFQDN = nil // the API takes only one of the two
}

// appendNew appends what is not there yet, up to most.
func appendNew(to, from []string, most int) []string {
	for _, s := range from {
		if len(to) < most && !slices.Contains(to, s) {
			to = append(to, s)
		}
	}
	return to
}
