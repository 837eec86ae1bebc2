// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// tenantObjects is the name of the quota, the limits and the network policy.
const tenantObjects = "skerry-tenant"

// hostNamespace stands for one namespace of the virtual cluster. Pod Security
// Admission keeps a tenant's Pods from reaching for the node.
func hostNamespace(vns *v1alpha1.VirtualNamespace, podSecurity string) *corev1.Namespace {
	name := v1alpha1.HostNamespace(vns.Namespace, vns.Name)
	ns := &corev1.Namespace{ObjectMeta: meta(vns.Namespace, "", name)}
	ns.Labels[v1alpha1.LabelVirtualNamespace] = vns.Name
	if podSecurity != "" {
		ns.Labels["pod-security.kubernetes.io/enforce"] = podSecurity
	}
	return ns
}

// hostObjects are what the operator puts into a host namespace.
func hostObjects(vc *v1alpha1.VirtualCluster, vns *v1alpha1.VirtualNamespace, opts Options) []client.Object {
	namespace := v1alpha1.HostNamespace(vns.Namespace, vns.Name)
	out := []client.Object{
		binding(vc.Name, namespace, opts.TenantRole, tenantSubject(vc.Name)),
		isolation(vc.Name, namespace),
	}
	if q := vc.Spec.Quota; q != nil {
		out = append(out, resourceQuota(vc.Name, namespace, q), limitRange(vc.Name, namespace, q))
	}
	for _, o := range out {
		o.GetLabels()[v1alpha1.LabelVirtualNamespace] = vns.Name
	}
	return out
}

// isolation keeps other virtual clusters out. Namespaces of no virtual cluster may
// come in: the platform's, an ingress controller's, monitoring.
func isolation(virtualCluster, namespace string) *networkingv1.NetworkPolicy {
	from := func(r metav1.LabelSelectorRequirement) networkingv1.NetworkPolicyPeer {
		r.Key = v1alpha1.LabelVirtualCluster
		return networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{r}}}
	}
	return &networkingv1.NetworkPolicy{
		ObjectMeta: meta(virtualCluster, namespace, tenantObjects),
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
				from(metav1.LabelSelectorRequirement{Operator: metav1.LabelSelectorOpIn, Values: []string{virtualCluster}}),
				from(metav1.LabelSelectorRequirement{Operator: metav1.LabelSelectorOpDoesNotExist}),
			}}},
		},
	}
}

// resourceQuota limits one host namespace to what the whole virtual cluster may use.
func resourceQuota(virtualCluster, namespace string, q *v1alpha1.Quota) *corev1.ResourceQuota {
	hard := corev1.ResourceList{}
	for name, quantity := range map[corev1.ResourceName]*resource.Quantity{
		corev1.ResourceLimitsCPU: q.CPU, corev1.ResourceLimitsMemory: q.Memory, corev1.ResourceRequestsStorage: q.Storage,
	} {
		if quantity != nil {
			hard[name] = *quantity
		}
	}
	return &corev1.ResourceQuota{ObjectMeta: meta(virtualCluster, namespace, tenantObjects), Spec: corev1.ResourceQuotaSpec{Hard: hard}}
}

// Defaults of a container that names no resources; a quota on limits refuses Pods
// without any.
const (
	defaultCPU, defaultMemory               = "500m", "512Mi"
	defaultCPURequest, defaultMemoryRequest = "25m", "64Mi"
)

// limitRange gives containers without resources a default that fits four times into
// the quota.
func limitRange(virtualCluster, namespace string, q *v1alpha1.Quota) *corev1.LimitRange {
	limits := corev1.ResourceList{
		corev1.ResourceCPU:    atMostQuarter(resource.MustParse(defaultCPU), q.CPU),
		corev1.ResourceMemory: atMostQuarter(resource.MustParse(defaultMemory), q.Memory),
	}
	requests := corev1.ResourceList{
		corev1.ResourceCPU:    least(resource.MustParse(defaultCPURequest), limits[corev1.ResourceCPU]),
		corev1.ResourceMemory: least(resource.MustParse(defaultMemoryRequest), limits[corev1.ResourceMemory]),
	}
	return &corev1.LimitRange{
		ObjectMeta: meta(virtualCluster, namespace, tenantObjects),
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Default: limits, DefaultRequest: requests,
		}}},
	}
}

func atMostQuarter(want resource.Quantity, total *resource.Quantity) resource.Quantity {
	if total == nil {
		return want
	}
	return least(want, *resource.NewMilliQuantity(total.MilliValue()/4, total.Format))
}

func least(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) <= 0 {
		return a
	}
	return b
}
