// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
)

// tenantObjects is the name of the limits and the network policy.
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

// fences are what must stand in a host namespace before the tenant may do anything there. Its
// ResourceQuota, which belongs to them, is the quotaReconciler's.
func fences(vc *v1alpha1.VirtualCluster, vns *v1alpha1.VirtualNamespace) []client.Object {
	namespace := v1alpha1.HostNamespace(vns.Namespace, vns.Name)
	out := []client.Object{isolation(vc.Name, namespace)}
	if q := vc.Spec.Quota; q != nil {
		out = append(out, limitRange(vc.Name, namespace, q))
	}
	for _, o := range out {
		o.GetLabels()[v1alpha1.LabelVirtualNamespace] = vns.Name
	}
	return out
}

// admission lets the tenant in.
func admission(vc *v1alpha1.VirtualCluster, vns *v1alpha1.VirtualNamespace, opts Options) client.Object {
	out := binding(vc.Name, v1alpha1.HostNamespace(vns.Namespace, vns.Name), opts.TenantRole, tenantSubject(vc.Name))
	out.Labels[v1alpha1.LabelVirtualNamespace] = vns.Name
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

// resourceQuota is one host namespace's share of what the whole virtual cluster may use.
func resourceQuota(virtualCluster, namespace string, hard corev1.ResourceList) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{ObjectMeta: meta(virtualCluster, namespace, quota.Name), Spec: corev1.ResourceQuotaSpec{Hard: hard}}
}

// limitRange gives containers without resources a default.
func limitRange(virtualCluster, namespace string, q *v1alpha1.Quota) *corev1.LimitRange {
	limits, requests := quota.Defaults(q)
	return &corev1.LimitRange{
		ObjectMeta: meta(virtualCluster, namespace, tenantObjects),
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Default: limits, DefaultRequest: requests,
		}}},
	}
}
