// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AppProjectSpec limits the Applications that name it. Entries may hold the
// wildcard *; one that starts with ! takes out what the others let in.
//
// +kubebuilder:pruning:PreserveUnknownFields
type AppProjectSpec struct {
	// SourceRepos are the repository URLs that may be delivered from.
	// +optional
	SourceRepos []string `json:"sourceRepos,omitempty"`
	// Destinations are the clusters and namespaces that may be delivered to.
	// +optional
	Destinations []ApplicationDestination `json:"destinations,omitempty"`
	// +optional
	Description string `json:"description,omitempty"`
	// ClusterResourceWhitelist are the cluster-scoped kinds that may be delivered. As in
	// Argo CD, none may when it is empty.
	// +optional
	ClusterResourceWhitelist []GroupKind `json:"clusterResourceWhitelist,omitempty"`
	// ClusterResourceBlacklist takes kinds out of the whitelist.
	// +optional
	ClusterResourceBlacklist []GroupKind `json:"clusterResourceBlacklist,omitempty"`
	// NamespaceResourceWhitelist are the namespaced kinds that may be delivered. As in
	// Argo CD, all may when it is empty.
	// +optional
	NamespaceResourceWhitelist []GroupKind `json:"namespaceResourceWhitelist,omitempty"`
	// NamespaceResourceBlacklist takes namespaced kinds out.
	// +optional
	NamespaceResourceBlacklist []GroupKind `json:"namespaceResourceBlacklist,omitempty"`
	// SyncWindows and SignatureKeys are Argo CD's; the built-in engine delivers nothing of a project that
	// restricts by them.
	// +optional
	SyncWindows []apiextensionsv1.JSON `json:"syncWindows,omitempty"`
	// +optional
	SignatureKeys []apiextensionsv1.JSON `json:"signatureKeys,omitempty"`
}

// GroupKind matches kinds; either part may hold the wildcard *.
//
// +kubebuilder:pruning:PreserveUnknownFields
type GroupKind struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

// AppProjectStatus is Argo CD's.
//
// +kubebuilder:pruning:PreserveUnknownFields
type AppProjectStatus struct{}

// AppProject limits what its Applications may deliver, from where and to where.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=appproj;appprojs
type AppProject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              AppProjectSpec `json:"spec"`
	// +optional
	Status AppProjectStatus `json:"status,omitzero"`
}

// AppProjectList is a list of AppProjects.
//
// +kubebuilder:object:root=true
type AppProjectList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AppProject `json:"items"`
}
