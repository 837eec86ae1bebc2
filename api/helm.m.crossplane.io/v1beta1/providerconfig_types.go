// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProviderConfigSpec says how provider-helm reaches a cluster. The built-in engine
// always installs into the cluster and namespace of the Release, as its tenant, and
// reads none of it.
type ProviderConfigSpec struct {
	Credentials ProviderCredentials `json:"credentials"`
	// +optional
	Identity *Identity `json:"identity,omitempty"`
}

// ProviderCredentials says where a kubeconfig comes from.
type ProviderCredentials struct {
	// +kubebuilder:validation:Enum=None;Secret;InjectedIdentity;Environment;Filesystem
	Source string `json:"source"`
	// +optional
	Fs *FsSelector `json:"fs,omitempty"`
	// +optional
	Env *EnvSelector `json:"env,omitempty"`
	// +optional
	SecretRef *SecretKeySelector `json:"secretRef,omitempty"`
}

// Identity authenticates to a cluster whose kubeconfig holds no credentials.
type Identity struct {
	Type                string `json:"type"`
	ProviderCredentials `json:",inline"`
}

// FsSelector is a file.
type FsSelector struct {
	Path string `json:"path"`
}

// EnvSelector is an environment variable.
type EnvSelector struct {
	Name string `json:"name"`
}

// SecretKeySelector is a key of a Secret.
type SecretKeySelector struct {
	Key                    string `json:"key"`
	corev1.SecretReference `json:",inline"`
}

// ProviderConfigStatus is written by provider-helm.
type ProviderConfigStatus struct {
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Users is how many objects use this configuration.
	// +optional
	Users int64 `json:"users,omitempty"`
}

// ProviderConfig configures provider-helm for Releases of its namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,categories={crossplane,provider,helm}
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ProviderConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ProviderConfigSpec   `json:"spec"`
	Status            ProviderConfigStatus `json:"status,omitempty"`
}

// ProviderConfigList is a list of ProviderConfigs.
// +kubebuilder:object:root=true
type ProviderConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ProviderConfig `json:"items"`
}

// ClusterProviderConfig configures provider-helm for Releases of all namespaces.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories={crossplane,provider,helm}
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterProviderConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ProviderConfigSpec   `json:"spec"`
	Status            ProviderConfigStatus `json:"status,omitempty"`
}

// ClusterProviderConfigList is a list of ClusterProviderConfigs.
// +kubebuilder:object:root=true
type ClusterProviderConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterProviderConfig `json:"items"`
}
