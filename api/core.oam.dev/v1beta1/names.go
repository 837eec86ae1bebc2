// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

// Labels and annotations that KubeVela's tools select by; they are written on every
// object of an Application.
const (
	// LabelAppName and LabelAppNamespace name the Application that an object belongs to.
	LabelAppName      = "app.oam.dev/name"
	LabelAppNamespace = "app.oam.dev/namespace"
	// LabelAppComponent is the component that an object was rendered for.
	LabelAppComponent = "app.oam.dev/component"
	// LabelAppRevision is the ApplicationRevision that the object was rendered from.
	LabelAppRevision = "app.oam.dev/appRevision"
	// LabelAppRevisionHash, on an ApplicationRevision, is the hash of its content.
	LabelAppRevisionHash = "app.oam.dev/app-revision-hash"
	// LabelResourceType is WORKLOAD or TRAIT.
	LabelResourceType = "app.oam.dev/resourceType"
	// LabelWorkloadType, on a component's main object, is the ComponentDefinition's name.
	LabelWorkloadType = "workload.oam.dev/type"
	// LabelTraitType, on every other object, is the TraitDefinition's name, or
	// TraitTypeAuxiliary for the component's own `outputs`.
	LabelTraitType = "trait.oam.dev/type"
	// LabelTraitResource is the key of the object in `outputs`.
	LabelTraitResource = "trait.oam.dev/resource"
	// TraitTypeAuxiliary is the LabelTraitType of objects in a component's `outputs`.
	TraitTypeAuxiliary = "AuxiliaryWorkload"
	// ResourceTypeWorkload and ResourceTypeTrait are the values of LabelResourceType.
	ResourceTypeWorkload = "WORKLOAD"
	ResourceTypeTrait    = "TRAIT"

	// AnnotationCluster, on an Application, names the cluster to deploy to.
	AnnotationCluster = "app.oam.dev/cluster"
	// AnnotationPublishVersion, on an Application, pins the revision that was made with this
	// value: neither the spec nor definitions count until it changes.
	AnnotationPublishVersion = "app.oam.dev/publishVersion"
	// AnnotationDescription, on a definition, is one line for people.
	AnnotationDescription = "definition.oam.dev/description"

	// FinalizerResourceTracker holds an Application until every object of its
	// inventory is gone.
	FinalizerResourceTracker = "app.oam.dev/resource-tracker-finalizer"

	// ClusterLocal is the name by which every cluster knows itself.
	ClusterLocal = "local"
)

// Phase is what an Application is doing, in KubeVela's words.
type Phase string

// Phases of an Application.
const (
	PhaseStarting           Phase = "starting"
	PhaseRendering          Phase = "rendering"
	PhaseRunningWorkflow    Phase = "runningWorkflow"
	PhaseWorkflowSuspending Phase = "workflowSuspending"
	PhaseWorkflowTerminated Phase = "workflowTerminated"
	PhaseWorkflowFailed     Phase = "workflowFailed"
	PhaseRunning            Phase = "running"
	PhaseUnhealthy          Phase = "unhealthy"
	PhaseDeleting           Phase = "deleting"
)

// Condition types of an Application, beside Ready and Synced. Each is one step of
// the engine, in this order; the first that is False says what is wrong.
const (
	ConditionParsed   = "Parsed"
	ConditionRevision = "Revision"
	ConditionRender   = "Render"
	ConditionApplied  = "Applied"
	ConditionReady    = "Ready"
	ConditionSynced   = "Synced"
)
