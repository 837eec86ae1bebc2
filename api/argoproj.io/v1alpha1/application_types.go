// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ApplicationSpec says what is delivered, from where, to where, and when.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationSpec struct {
	// Source is the one place that manifests come from.
	// +optional
	Source *ApplicationSource `json:"source,omitempty"`
	// Sources (several) is Argo CD's; the built-in engine refuses it with a condition.
	// +optional
	Sources []ApplicationSource `json:"sources,omitempty"`
	// Destination cluster and default namespace.
	Destination ApplicationDestination `json:"destination"`
	// Project is the AppProject, in the same namespace, that limits this Application.
	Project string `json:"project"`
	// SyncPolicy says when to apply without being asked.
	// +optional
	SyncPolicy *SyncPolicy `json:"syncPolicy,omitempty"`
	// IgnoreDifferences is preserved for Argo CD.
	// +optional
	IgnoreDifferences []ResourceIgnoreDifferences `json:"ignoreDifferences,omitempty"`
	// Info is shown to people.
	// +optional
	Info []Info `json:"info,omitempty"`
	// RevisionHistoryLimit is how many deployments status.history keeps. Default 10.
	// +optional
	RevisionHistoryLimit *int64 `json:"revisionHistoryLimit,omitempty"`
}

// ApplicationSource is one Git repository, path and revision.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationSource struct {
	// RepoURL of the Git repository.
	RepoURL string `json:"repoURL"`
	// Path inside it. Empty or "." is the root.
	// +optional
	Path string `json:"path,omitempty"`
	// TargetRevision is a branch, a tag or a commit. Default HEAD.
	// +optional
	TargetRevision string `json:"targetRevision,omitempty"`
	// Directory says which files of Path are read.
	// +optional
	Directory *ApplicationSourceDirectory `json:"directory,omitempty"`
	// Chart, Helm, Kustomize and Plugin are Argo CD's other ways to render; the built-in
	// engine refuses them with a condition.
	// +optional
	Chart string `json:"chart,omitempty"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +optional
	Helm *apiextensionsv1.JSON `json:"helm,omitempty"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +optional
	Kustomize *apiextensionsv1.JSON `json:"kustomize,omitempty"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +optional
	Plugin *apiextensionsv1.JSON `json:"plugin,omitempty"`
}

// ApplicationSourceDirectory selects plain YAML and JSON files.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationSourceDirectory struct {
	// Recurse into sub-folders.
	// +optional
	Recurse bool `json:"recurse,omitempty"`
	// Exclude is a glob of paths, relative to the source's path, that are left out.
	// +optional
	Exclude string `json:"exclude,omitempty"`
	// Include is a glob of paths, relative to the source's path, that are read.
	// +optional
	Include string `json:"include,omitempty"`
}

// ApplicationDestination is a cluster, by name or by server, and a namespace.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationDestination struct {
	// Server is the URL of the cluster's API, as in its cluster Secret.
	// +optional
	Server string `json:"server,omitempty"`
	// Namespace for namespaced objects that name none.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// Name of the cluster, as in its cluster Secret.
	// +optional
	Name string `json:"name,omitempty"`
}

// SyncPolicy says when to apply without being asked.
//
// +kubebuilder:pruning:PreserveUnknownFields
type SyncPolicy struct {
	// Automated, when set, applies each new revision.
	// +optional
	Automated *SyncPolicyAutomated `json:"automated,omitempty"`
	// SyncOptions as KEY=VALUE; the engine honours CreateNamespace=true and Prune=false.
	// ServerSideApply is always on.
	// +optional
	SyncOptions []string `json:"syncOptions,omitempty"`
	// Retry of a sync that the destination refused.
	// +optional
	Retry *RetryStrategy `json:"retry,omitempty"`
}

// SyncPolicyAutomated applies each new revision by itself.
//
// +kubebuilder:pruning:PreserveUnknownFields
type SyncPolicyAutomated struct {
	// Prune what left the repository.
	// +optional
	Prune bool `json:"prune,omitempty"`
	// SelfHeal puts back what somebody changed on the destination.
	// +optional
	SelfHeal bool `json:"selfHeal,omitempty"`
	// AllowEmpty lets a revision with no object at all prune everything.
	// +optional
	AllowEmpty bool `json:"allowEmpty,omitempty"`
	// Enabled false switches automation off while keeping its settings.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
}

// RetryStrategy of a failed sync.
//
// +kubebuilder:pruning:PreserveUnknownFields
type RetryStrategy struct {
	// Limit of attempts after the first. Negative is no limit.
	// +optional
	Limit int64 `json:"limit,omitempty"`
	// Backoff between attempts. Default 5s, factor 2, at most 3m.
	// +optional
	Backoff *Backoff `json:"backoff,omitempty"`
}

// Backoff between attempts.
//
// +kubebuilder:pruning:PreserveUnknownFields
type Backoff struct {
	// Duration of the first wait, as Go writes durations, or a number of seconds.
	// +optional
	Duration string `json:"duration,omitempty"`
	// Factor by which each wait is longer than the one before.
	// +optional
	Factor *int64 `json:"factor,omitempty"`
	// MaxDuration of one wait.
	// +optional
	MaxDuration string `json:"maxDuration,omitempty"`
}

// ResourceIgnoreDifferences is preserved for Argo CD.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ResourceIgnoreDifferences struct {
	// +optional
	Group string `json:"group,omitempty"`
	Kind  string `json:"kind"`
	// +optional
	Name string `json:"name,omitempty"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// +optional
	JSONPointers []string `json:"jsonPointers,omitempty"`
	// +optional
	JQPathExpressions []string `json:"jqPathExpressions,omitempty"`
	// +optional
	ManagedFieldsManagers []string `json:"managedFieldsManagers,omitempty"`
}

// Info is shown to people.
type Info struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Operation asks for one action now. The engine removes it when it starts.
//
// +kubebuilder:pruning:PreserveUnknownFields
type Operation struct {
	// Sync applies a revision.
	// +optional
	Sync *SyncOperation `json:"sync,omitempty"`
	// InitiatedBy is kept for the record.
	// +optional
	InitiatedBy OperationInitiator `json:"initiatedBy,omitzero"`
	// Info is kept for the record.
	// +optional
	Info []*Info `json:"info,omitempty"`
	// Retry of this operation. Default: the sync policy's.
	// +optional
	Retry RetryStrategy `json:"retry,omitzero"`
}

// SyncOperation applies a revision.
//
// +kubebuilder:pruning:PreserveUnknownFields
type SyncOperation struct {
	// Revision to apply. Default: the source's target revision.
	// +optional
	Revision string `json:"revision,omitempty"`
	// Prune what is not in the revision.
	// +optional
	Prune bool `json:"prune,omitempty"`
	// DryRun only validates.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`
	// SyncOptions as in SyncPolicy, for this operation.
	// +optional
	SyncOptions []string `json:"syncOptions,omitempty"`
	// Resources names the only objects to apply. Not served by the built-in engine.
	// +optional
	Resources []apiextensionsv1.JSON `json:"resources,omitempty"`
}

// OperationInitiator is who asked.
//
// +kubebuilder:pruning:PreserveUnknownFields
type OperationInitiator struct {
	// +optional
	Username string `json:"username,omitempty"`
	// Automated is true when the engine itself asked.
	// +optional
	Automated bool `json:"automated,omitempty"`
}

// Application delivers a path of a Git repository to a cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=app;apps,categories=skerry
// +kubebuilder:printcolumn:name="Sync Status",type=string,JSONPath=`.status.sync.status`
// +kubebuilder:printcolumn:name="Health Status",type=string,JSONPath=`.status.health.status`
// +kubebuilder:printcolumn:name="Revision",type=string,priority=10,JSONPath=`.status.sync.revision`
// +kubebuilder:printcolumn:name="Project",type=string,priority=10,JSONPath=`.spec.project`
type Application struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              ApplicationSpec `json:"spec"`
	// +optional
	Status ApplicationStatus `json:"status,omitzero"`
	// +optional
	Operation *Operation `json:"operation,omitempty"`
}

// ApplicationList is a list of Applications.
//
// +kubebuilder:object:root=true
type ApplicationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Application `json:"items"`
}
