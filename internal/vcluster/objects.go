// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const (
	// labelManagedBy marks what this package made; its cache holds nothing else, so the
	// operator's memory does not grow with what tenants make.
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "skerry-vcluster"

	// Ports of the Services in the home namespace. The pool member's EndpointSlices
	// name them alike.
	portHTTPS  = "https"
	portDNS    = "dns"
	portDNSTCP = "dns-tcp"
)

func labels(virtualCluster string) map[string]string {
	return map[string]string{labelManagedBy: managedBy, v1alpha1.LabelVirtualCluster: virtualCluster}
}

func meta(virtualCluster, namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels(virtualCluster)}
}

// homeNamespace has no owner reference to its VirtualCluster: a foreground deletion
// would take the namespace first, and with it the identity that the tenant's
// charts are uninstalled with.
func homeNamespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: meta(name, "", name)}
}

// homeObjects are what a home namespace holds besides its Secrets and Services.
func homeObjects(name string, opts Options) []client.Object {
	return []client.Object{
		&corev1.ServiceAccount{
			ObjectMeta:                   meta(name, name, v1alpha1.TenantServiceAccount),
			AutomountServiceAccountToken: ptr.To(false),
		},
		binding(name, name, opts.TenantHomeRole, tenantSubject(name)),
		binding(name, name, opts.PoolHomeRole, rbacv1.Subject{
			Kind: rbacv1.ServiceAccountKind, Name: opts.PoolServiceAccount, Namespace: opts.Namespace,
		}),
	}
}

// apiService is the front of the API server; the pool member that serves it writes
// the EndpointSlice. The type is left to whoever wants a load balancer in front: the
// certificate follows.
func apiService(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: meta(name, name, name),
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
			{Name: portHTTPS, Port: 443, TargetPort: intstr.FromInt32(443), Protocol: corev1.ProtocolTCP},
		}},
	}
}

func dnsService(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: meta(name, name, v1alpha1.DNSService),
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
			{Name: portDNS, Port: 53, TargetPort: intstr.FromInt32(53), Protocol: corev1.ProtocolUDP},
			{Name: portDNSTCP, Port: 53, TargetPort: intstr.FromInt32(53), Protocol: corev1.ProtocolTCP},
		}},
	}
}

// binding grants a ClusterRole of the install chart inside one namespace. Roles are
// never made here: the operator may bind these by name, and need not hold
// what they grant.
func binding(virtualCluster, namespace, clusterRole string, subject rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: meta(virtualCluster, namespace, clusterRole),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   []rbacv1.Subject{subject},
	}
}

func tenantSubject(virtualCluster string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: v1alpha1.TenantServiceAccount, Namespace: virtualCluster}
}
