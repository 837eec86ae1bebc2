// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Placement says where a virtual control plane runs.
// +kubebuilder:validation:Enum=shared;dedicated
type Placement string

const (
	// PlacementShared runs the control plane in a pool member's process, beside others.
	PlacementShared Placement = "shared"
	// PlacementDedicated runs it in a StatefulSet of its own.
	PlacementDedicated Placement = "dedicated"
)

// VirtualClusterSpec is what a virtual cluster should be.
type VirtualClusterSpec struct {
	// Placement of the control plane. Immutable.
	// +kubebuilder:default=shared
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="placement cannot be changed; create another environment instead"
	Placement Placement `json:"placement,omitempty"`

	// Quota is the most that the whole virtual cluster may use on the host: all of its
	// namespaces together, charts included.
	// +optional
	Quota *Quota `json:"quota,omitempty"`

	// GitOps registers the cluster with Argo CD (or the built-in engine) when set.
	// +optional
	GitOps *GitOpsAccess `json:"gitops,omitempty"`
}

// Quota in Kubernetes quantities.
type Quota struct {
	// +optional
	CPU *resource.Quantity `json:"cpu,omitempty"`
	// +optional
	Memory *resource.Quantity `json:"memory,omitempty"`
	// +optional
	Storage *resource.Quantity `json:"storage,omitempty"`
}

// GitOpsAccess is what the GitOps engine may do in the virtual cluster.
type GitOpsAccess struct {
	// Resources that the engine may write, as "resource.group" ("configmaps",
	// "applications.core.oam.dev"). Empty means the default: OAM Applications,
	// namespaces, ConfigMaps and Secrets. It may read everything.
	// +optional
	Resources []string `json:"resources,omitempty"`
}

// VirtualClusterStatus is written by the operator and by the pool member, each
// with its own field manager.
type VirtualClusterStatus struct {
	// ClusterEndpoint is how to reach the API server.
	// +optional
	ClusterEndpoint ClusterEndpoint `json:"clusterEndpoint,omitempty"`
	// ServiceIP is the ClusterIP of Service NAME in the home namespace, and of
	// Service default/kubernetes inside the virtual cluster.
	// +optional
	ServiceIP string `json:"serviceIP,omitempty"`
	// DNSIP is the ClusterIP of the virtual cluster's DNS.
	// +optional
	DNSIP string `json:"dnsIP,omitempty"`
	// EtcdPrefix is the tenant's key prefix.
	// +optional
	EtcdPrefix string `json:"etcdPrefix,omitempty"`
	// Member is the pool member that serves the control plane.
	// +optional
	Member string `json:"member,omitempty"`
	// Version of Kubernetes that is served.
	// +optional
	Version string `json:"version,omitempty"`
	// KubeconfigSecretRef names the administrator's kubeconfig, never its content.
	// +optional
	KubeconfigSecretRef *corev1.SecretReference `json:"kubeconfigSecretRef,omitempty"`
	// Quota is what of spec.quota is used, when there is one. At most a second old.
	// +optional
	Quota *QuotaStatus `json:"quota,omitempty"`
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// QuotaStatus says what of a quota is used, and where. The keys are those of a
// ResourceQuota: limits.cpu, limits.memory, requests.storage.
type QuotaStatus struct {
	// Hard is the total.
	// +optional
	Hard corev1.ResourceList `json:"hard,omitempty"`
	// Used by all namespaces together.
	// +optional
	Used corev1.ResourceList `json:"used,omitempty"`
	// Namespaces of the virtual cluster that have a part of the total.
	// +listType=map
	// +listMapKey=name
	// +optional
	Namespaces []NamespaceQuota `json:"namespaces,omitempty"`
}

// NamespaceQuota is one namespace's part of the total. What it does not use moves to
// another namespace that asks for it.
type NamespaceQuota struct {
	// Name inside the virtual cluster.
	Name string `json:"name"`
	// +optional
	Hard corev1.ResourceList `json:"hard,omitempty"`
	// +optional
	Used corev1.ResourceList `json:"used,omitempty"`
}

// ClusterEndpoint lists the URLs of an API server.
type ClusterEndpoint struct {
	// Direct is reachable from inside the host cluster.
	// +optional
	Direct string `json:"direct,omitempty"`
	// Ingress is reachable from outside, when the platform has a domain.
	// +optional
	Ingress string `json:"ingress,omitempty"`
}

// VirtualCluster is one virtual Kubernetes cluster. It is cluster-scoped: its name is
// the name of its home namespace and the prefix of its host namespaces.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=vc,categories=skerry
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Member",type=string,JSONPath=`.status.member`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40 && !self.metadata.name.contains('--') && self.metadata.name.matches('^[a-z][a-z0-9-]*$')",message="the name must be a DNS label of at most 40 characters that begins with a letter, without '--': it is also the name of a Service"
// +kubebuilder:validation:XValidation:rule="!(self.metadata.name in ['default','argocd','vela-system','skerry-system']) && !self.metadata.name.startsWith('kube-')",message="the name is reserved: it is also the name of the home namespace"
type VirtualCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              VirtualClusterSpec   `json:"spec,omitempty"`
	Status            VirtualClusterStatus `json:"status,omitempty"`
}

// VirtualClusterList is a list of VirtualClusters.
// +kubebuilder:object:root=true
type VirtualClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VirtualCluster `json:"items"`
}
