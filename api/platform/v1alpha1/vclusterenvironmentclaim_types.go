// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VClusterEnvironmentClaimSpec is the environment that a team asks for.
type VClusterEnvironmentClaimSpec struct {
	// Name of the virtual cluster, and of its home namespace on the host.
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="!self.contains('--')",message="the name may not contain '--', which separates a virtual cluster's name from its namespaces on the host"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the name cannot be changed; create another environment instead"
	Name string `json:"name"`
	// Size sets the quota: small, medium, large or xlarge.
	// +kubebuilder:validation:Enum=small;medium;large;xlarge
	// +kubebuilder:default=medium
	Size string `json:"size,omitempty"`
	// Resources override single figures of the size.
	// +optional
	Resources *EnvironmentResources `json:"resources,omitempty"`
	// Capabilities that the environment has.
	// +optional
	Capabilities *Capabilities `json:"capabilities,omitempty"`
	// Placement of the control plane. This version serves shared.
	// +kubebuilder:default=shared
	// +kubebuilder:validation:XValidation:rule="self == 'shared'",message="this version serves placement 'shared' only"
	Placement Placement `json:"placement,omitempty"`
	// KubernetesVersion, when given, must be the one that is served.
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// DeletionPolicy of the virtual cluster when the claim goes.
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// EnvironmentResources in Kubernetes quantities.
type EnvironmentResources struct {
	// +optional
	CPULimit *resource.Quantity `json:"cpuLimit,omitempty"`
	// +optional
	MemoryLimit *resource.Quantity `json:"memoryLimit,omitempty"`
	// +optional
	StorageSize *resource.Quantity `json:"storageSize,omitempty"`
}

// Capabilities of an environment. This version acts on gitops.
type Capabilities struct {
	// GitOps registers the environment with the GitOps engine.
	// +kubebuilder:default=true
	GitOps *bool `json:"gitops,omitempty"`
}

// VClusterEnvironmentClaimStatus is written by the environment stage.
type VClusterEnvironmentClaimStatus struct {
	// Ready repeats the condition, as the kind's first version did.
	// +optional
	Ready bool `json:"ready,omitempty"`
	// +optional
	ClusterEndpoint ClusterEndpoint `json:"clusterEndpoint,omitempty"`
	// +optional
	AdminCredentials *AdminCredentials `json:"adminCredentials,omitempty"`
	// Namespaces on the host that belong to the environment.
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`
	// Usage of what size and resources allow, in the keys of a ResourceQuota.
	// +optional
	Usage *Usage `json:"usage,omitempty"`
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Usage of a quota by all namespaces of an environment together.
type Usage struct {
	// +optional
	Hard corev1.ResourceList `json:"hard,omitempty"`
	// +optional
	Used corev1.ResourceList `json:"used,omitempty"`
}

// AdminCredentials refers to the administrator's kubeconfig, never its content.
type AdminCredentials struct {
	SecretRef corev1.SecretReference `json:"secretRef"`
}

// VClusterEnvironmentClaim asks for one environment: a virtual cluster with a quota
// and policies.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=vce,categories=skerry
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Size",type=string,JSONPath=`.spec.size`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type VClusterEnvironmentClaim struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              VClusterEnvironmentClaimSpec   `json:"spec"`
	Status            VClusterEnvironmentClaimStatus `json:"status,omitempty"`
}

// VClusterEnvironmentClaimList is a list of VClusterEnvironmentClaims.
// +kubebuilder:object:root=true
type VClusterEnvironmentClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VClusterEnvironmentClaim `json:"items"`
}
