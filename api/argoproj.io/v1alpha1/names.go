// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Labels, annotations and finalizers of Argo CD that the engine reads or writes.
const (
	// LabelSecretType, on a Secret in the Argo CD namespace, says what it holds:
	// SecretTypeCluster, SecretTypeRepository or SecretTypeRepositoryCredentials.
	LabelSecretType = "argocd.argoproj.io/secret-type"
	// LabelInstance, on every delivered object, is the Application's name (hashed when
	// longer than a label value may be). Argo CD's documentation proposes this key for
	// installations that do not want app.kubernetes.io/instance, which Helm also writes.
	LabelInstance = "argocd.argoproj.io/instance"

	// AnnotationTrackingID, on every delivered object, is APP:GROUP/KIND:NAMESPACE/NAME.
	AnnotationTrackingID = "argocd.argoproj.io/tracking-id"
	// AnnotationRefresh, on an Application, asks for a comparison now: RefreshNormal
	// or RefreshHard. The engine removes it when it has compared.
	AnnotationRefresh = "argocd.argoproj.io/refresh"
	// AnnotationSyncOptions, on a delivered object, is a comma-separated list; the engine
	// honours Prune=false and Delete=false.
	AnnotationSyncOptions = "argocd.argoproj.io/sync-options"
	// AnnotationHook marks a resource hook of Argo CD.
	AnnotationHook = "argocd.argoproj.io/hook"

	// ResourcesFinalizer, on an Application, holds it until everything that it
	// delivered is gone from the destination.
	ResourcesFinalizer = "resources-finalizer.argocd.argoproj.io"

	// RefreshNormal compares with the newest revision; RefreshHard also forgets what
	// was cached and gives a failed revision another try.
	RefreshNormal = "normal"
	RefreshHard   = "hard"
)

// Values of LabelSecretType.
const (
	SecretTypeCluster               = "cluster"
	SecretTypeRepository            = "repository"
	SecretTypeRepositoryCredentials = "repo-creds"
)

// Condition types of an Application, as Argo CD names them. Those that end in Error
// say that delivery is held up until somebody acts.
const (
	// ConditionInvalidSpecError: the Application asks for something that its AppProject
	// refuses or that does not exist.
	ConditionInvalidSpecError = "InvalidSpecError"
	// ConditionComparisonError: the repository or the destination could not be read, or
	// a manifest could not be understood.
	ConditionComparisonError = "ComparisonError"
	// ConditionSyncError: the destination refused what should be applied.
	ConditionSyncError = "SyncError"
	// ConditionDeletionError: pruning at deletion does not succeed.
	ConditionDeletionError = "DeletionError"
	// ConditionDeletionProgress says what a deletion still waits for. Argo CD has no
	// name for it; its clients show it as information.
	ConditionDeletionProgress = "DeletionProgress"
	// ConditionDestinationUnreachable and ConditionRepositoryUnreachable stand beside a
	// ComparisonError that no push can mend: the destination or the repository does not answer.
	// They are the built-in engine's own; Argo CD says it in the ComparisonError's text only.
	ConditionDestinationUnreachable = "DestinationUnreachable"
	ConditionRepositoryUnreachable  = "RepositoryUnreachable"
)
