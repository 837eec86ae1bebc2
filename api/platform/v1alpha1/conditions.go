// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types. Ready and Synced follow Crossplane; the others are one per
// stage of docs/flow.md.
const (
	ConditionReady  = "Ready"
	ConditionSynced = "Synced"

	// Of a claim.
	ConditionRepositoriesReady = "RepositoriesReady"
	ConditionEnvironmentReady  = "EnvironmentReady"
	ConditionRegistered        = "Registered"
	ConditionDelivered         = "Delivered"
	ConditionComponentsHealthy = "ComponentsHealthy"

	// Of a VirtualCluster. Prepared: namespaces, identity, certificates, etcd
	// user and Services exist, a pool member may start serving (written by the
	// operator). ControlPlaneReady: the API answers (written by the pool member).
	// Registered: the Argo CD cluster Secret holds a working token.
	// Drained, while it is deleted: its OAM Applications are gone, or cannot be reached,
	// and the registration may go.
	// WithinQuota: nothing was refused lately because the total of spec.quota is used up.
	ConditionPrepared          = "Prepared"
	ConditionDrained           = "Drained"
	ConditionControlPlaneReady = "ControlPlaneReady"
	ConditionWithinQuota       = "WithinQuota"
)

// Reasons of Ready and Synced, as in Crossplane.
const (
	ReasonAvailable        = "Available"
	ReasonCreating         = "Creating"
	ReasonUnavailable      = "Unavailable"
	ReasonDeleting         = "Deleting"
	ReasonWaiting          = "Waiting"
	ReasonReconcileSuccess = "ReconcileSuccess"
	ReasonReconcileError   = "ReconcileError"
	ReasonReconcilePaused  = "ReconcilePaused"
)
