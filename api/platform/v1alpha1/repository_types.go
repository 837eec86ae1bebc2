// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RepositoryRole says what a repository holds.
// +kubebuilder:validation:Enum=source;gitops
type RepositoryRole string

const (
	// RepositorySource holds an application's code.
	RepositorySource RepositoryRole = "source"
	// RepositoryGitOps holds what the GitOps engine delivers.
	RepositoryGitOps RepositoryRole = "gitops"
)

// DeletionPolicy says what happens to the thing outside Kubernetes.
// +kubebuilder:validation:Enum=Delete;Orphan
type DeletionPolicy string

const (
	DeletionDelete DeletionPolicy = "Delete"
	DeletionOrphan DeletionPolicy = "Orphan"
)

// RepositorySpec is one Git repository.
type RepositorySpec struct {
	// Provider that hosts it. This version serves local, the platform's own Git server.
	// +kubebuilder:validation:Enum=local
	// +kubebuilder:default=local
	Provider string `json:"provider,omitempty"`
	// Owner is the user or organisation that the repository belongs to.
	// +kubebuilder:default=skerry
	Owner string `json:"owner,omitempty"`
	// Name of the repository.
	// +kubebuilder:validation:Pattern=`^[a-z0-9][a-z0-9._-]{0,99}$`
	Name string         `json:"name"`
	Role RepositoryRole `json:"role"`
	// Visibility of the repository.
	// +kubebuilder:validation:Enum=public;private
	// +kubebuilder:default=private
	Visibility string `json:"visibility,omitempty"`
	// Files that the platform keeps in the repository, path to content. A file
	// that a person changed since the platform wrote it is left alone.
	// +optional
	Files map[string]string `json:"files,omitempty"`
	// Template is the catalog's source template that fills a new repository.
	// +optional
	Template string `json:"template,omitempty"`
	// DeletionPolicy of the repository itself.
	// +kubebuilder:default=Orphan
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// RepositoryStatus is written by the repository stage.
type RepositoryStatus struct {
	// URL for a browser, CloneURL for Git; both without credentials.
	// +optional
	URL string `json:"url,omitempty"`
	// +optional
	CloneURL string `json:"cloneUrl,omitempty"`
	// +optional
	Branch string `json:"branch,omitempty"`
	// Revision is the commit at the head of Branch when last seen.
	// +optional
	Revision string `json:"revision,omitempty"`
	// Written is, for each file that the platform keeps, the Git blob hash of what it
	// wrote last.
	// +optional
	Written map[string]string `json:"written,omitempty"`
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Repository is one Git repository that the platform created and fills.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=skerry
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.cloneUrl`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Repository struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              RepositorySpec   `json:"spec,omitempty"`
	Status            RepositoryStatus `json:"status,omitempty"`
}

// RepositoryList is a list of Repositories.
// +kubebuilder:object:root=true
type RepositoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Repository `json:"items"`
}
