// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SyncStatusCode compares a destination with the repository.
type SyncStatusCode string

const (
	SyncStatusUnknown   SyncStatusCode = "Unknown"
	SyncStatusSynced    SyncStatusCode = "Synced"
	SyncStatusOutOfSync SyncStatusCode = "OutOfSync"
)

// HealthStatusCode of an object, or of the worst of several.
type HealthStatusCode string

const (
	HealthHealthy     HealthStatusCode = "Healthy"
	HealthSuspended   HealthStatusCode = "Suspended"
	HealthProgressing HealthStatusCode = "Progressing"
	HealthMissing     HealthStatusCode = "Missing"
	HealthDegraded    HealthStatusCode = "Degraded"
	HealthUnknown     HealthStatusCode = "Unknown"
)

// OperationPhase of an operation.
type OperationPhase string

const (
	OperationRunning   OperationPhase = "Running"
	OperationSucceeded OperationPhase = "Succeeded"
	OperationFailed    OperationPhase = "Failed"
	OperationError     OperationPhase = "Error"
)

// ResultCode of one object in an operation.
type ResultCode string

const (
	ResultSynced       ResultCode = "Synced"
	ResultSyncFailed   ResultCode = "SyncFailed"
	ResultPruned       ResultCode = "Pruned"
	ResultPruneSkipped ResultCode = "PruneSkipped"
)

// ApplicationStatus is written by the GitOps engine.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationStatus struct {
	// Resources are all objects that the Application has applied and not yet pruned. The
	// built-in engine prunes and deletes from this list: it is the inventory.
	// +optional
	Resources []ResourceStatus `json:"resources,omitempty"`
	// Sync compares the destination with the repository.
	// +optional
	Sync SyncStatus `json:"sync,omitzero"`
	// Health is the worst of the resources'.
	// +optional
	Health AppHealthStatus `json:"health,omitzero"`
	// History of deployments, oldest first.
	// +optional
	History []RevisionHistory `json:"history,omitempty"`
	// Conditions, of the types in names.go.
	// +optional
	Conditions []ApplicationCondition `json:"conditions,omitempty"`
	// ReconciledAt is when the repository and the destination were last compared.
	// +optional
	ReconciledAt *metav1.Time `json:"reconciledAt,omitempty"`
	// OperationState of the newest operation.
	// +optional
	OperationState *OperationState `json:"operationState,omitempty"`
	// SourceType is always Directory.
	// +optional
	SourceType string `json:"sourceType,omitempty"`
	// Summary for people.
	// +optional
	Summary ApplicationSummary `json:"summary,omitzero"`
}

// SyncStatus compares the destination with the repository.
//
// +kubebuilder:pruning:PreserveUnknownFields
type SyncStatus struct {
	Status SyncStatusCode `json:"status"`
	// ComparedTo is the part of the spec that was compared.
	// +optional
	ComparedTo ComparedTo `json:"comparedTo,omitzero"`
	// Revision is the commit that was compared.
	// +optional
	Revision string `json:"revision,omitempty"`
}

// ComparedTo is the part of the spec that was compared.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ComparedTo struct {
	// +optional
	Source ApplicationSource `json:"source,omitzero"`
	// +optional
	Destination ApplicationDestination `json:"destination,omitzero"`
}

// AppHealthStatus is the worst of the resources' health.
//
// +kubebuilder:pruning:PreserveUnknownFields
type AppHealthStatus struct {
	// +optional
	Status HealthStatusCode `json:"status,omitempty"`
	// Message of the worst resource, prefixed with its kind and name.
	// +optional
	Message string `json:"message,omitempty"`
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
}

// HealthStatus of one resource.
//
// +kubebuilder:pruning:PreserveUnknownFields
type HealthStatus struct {
	// +optional
	Status HealthStatusCode `json:"status,omitempty"`
	// +optional
	Message string `json:"message,omitempty"`
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
}

// ResourceStatus is one object on the destination.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ResourceStatus struct {
	// +optional
	Group string `json:"group,omitempty"`
	// +optional
	Version string `json:"version,omitempty"`
	// +optional
	Kind string `json:"kind,omitempty"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// +optional
	Name string `json:"name,omitempty"`
	// +optional
	Status SyncStatusCode `json:"status,omitempty"`
	// +optional
	Health *HealthStatus `json:"health,omitempty"`
	// RequiresPruning: it is no longer in the repository.
	// +optional
	RequiresPruning bool `json:"requiresPruning,omitempty"`
}

// RevisionHistory is one deployment.
//
// +kubebuilder:pruning:PreserveUnknownFields
type RevisionHistory struct {
	// +optional
	Revision string `json:"revision,omitempty"`
	// DeployStartedAt is when the sync began, DeployedAt when it succeeded.
	// +optional
	DeployStartedAt *metav1.Time `json:"deployStartedAt,omitempty"`
	DeployedAt      metav1.Time  `json:"deployedAt"`
	// ID counts deployments from 0.
	ID int64 `json:"id"`
	// +optional
	Source ApplicationSource `json:"source,omitzero"`
	// +optional
	InitiatedBy OperationInitiator `json:"initiatedBy,omitzero"`
}

// ApplicationCondition exists while what it says is so.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationCondition struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
}

// OperationState of the newest operation.
//
// +kubebuilder:pruning:PreserveUnknownFields
type OperationState struct {
	Operation Operation      `json:"operation"`
	Phase     OperationPhase `json:"phase"`
	// +optional
	Message string `json:"message,omitempty"`
	// +optional
	SyncResult *SyncOperationResult `json:"syncResult,omitempty"`
	StartedAt  metav1.Time          `json:"startedAt"`
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// RetryCount is the number of attempts after the first.
	// +optional
	RetryCount int64 `json:"retryCount,omitempty"`
}

// SyncOperationResult is what a sync did.
//
// +kubebuilder:pruning:PreserveUnknownFields
type SyncOperationResult struct {
	// +optional
	Resources []ResourceResult `json:"resources,omitempty"`
	Revision  string           `json:"revision"`
	// +optional
	Source ApplicationSource `json:"source,omitzero"`
}

// ResourceResult is what a sync did to one object.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ResourceResult struct {
	Group     string `json:"group"`
	Version   string `json:"version"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// +optional
	Status ResultCode `json:"status,omitempty"`
	// +optional
	Message string `json:"message,omitempty"`
}

// ApplicationSummary for people.
//
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationSummary struct {
	// +optional
	ExternalURLs []string `json:"externalURLs,omitempty"`
	// +optional
	Images []string `json:"images,omitempty"`
}
