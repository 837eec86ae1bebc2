// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Schematic is how a definition turns parameters into objects.
// +kubebuilder:pruning:PreserveUnknownFields
type Schematic struct {
	// +optional
	CUE *CUE `json:"cue,omitempty"`
}

// CUE is a template; see internal/oam/render for the fields that it may have.
type CUE struct {
	Template string `json:"template"`
}

// Status says how the health of a definition's objects is computed. All are CUE
// that sees `context`, where `context.output` is the live object.
// +kubebuilder:pruning:PreserveUnknownFields
type Status struct {
	// CustomStatus sets `message`.
	// +optional
	CustomStatus string `json:"customStatus,omitempty"`
	// HealthPolicy sets `isHealth`.
	// +optional
	HealthPolicy string `json:"healthPolicy,omitempty"`
	// Details is a struct of values to show.
	// +optional
	Details string `json:"details,omitempty"`
}

// WorkloadTypeDescriptor is the kind of a component's main object.
// +kubebuilder:pruning:PreserveUnknownFields
type WorkloadTypeDescriptor struct {
	// Type is the name of a WorkloadDefinition, or autodetects.core.oam.dev.
	// +optional
	Type string `json:"type,omitempty"`
	// +optional
	Definition *WorkloadGVK `json:"definition,omitempty"`
}

// ChildResourceKind is a kind that a workload makes by itself.
type ChildResourceKind struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// +optional
	Selector map[string]string `json:"selector,omitempty"`
}

// DefinitionReference names a CustomResourceDefinition.
type DefinitionReference struct {
	Name string `json:"name"`
	// +optional
	Version string `json:"version,omitempty"`
}

// DefinitionStatus is common to all definitions.
// +kubebuilder:pruning:PreserveUnknownFields
type DefinitionStatus struct {
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// +optional
	ConfigMapRef string `json:"configMapRef,omitempty"`
	// +optional
	LatestRevision *Revision `json:"latestRevision,omitempty"`
}

// ComponentDefinitionSpec describes a type of component.
// +kubebuilder:pruning:PreserveUnknownFields
type ComponentDefinitionSpec struct {
	// +optional
	Workload WorkloadTypeDescriptor `json:"workload,omitempty"`
	// +optional
	ChildResourceKinds []ChildResourceKind `json:"childResourceKinds,omitempty"`
	// +optional
	RevisionLabel string `json:"revisionLabel,omitempty"`
	// +optional
	PodSpecPath string `json:"podSpecPath,omitempty"`
	// +optional
	Status *Status `json:"status,omitempty"`
	// +optional
	Schematic *Schematic `json:"schematic,omitempty"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Extension *runtime.RawExtension `json:"extension,omitempty"`
	// +optional
	Version string `json:"version,omitempty"`
}

// ComponentDefinition is a type of component that Applications may use.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=comp,categories=oam
// +kubebuilder:printcolumn:name="WORKLOAD-KIND",type=string,JSONPath=`.spec.workload.definition.kind`
// +kubebuilder:printcolumn:name="DESCRIPTION",type=string,JSONPath=`.metadata.annotations.definition\.oam\.dev/description`
type ComponentDefinition struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ComponentDefinitionSpec `json:"spec,omitempty"`
	Status            DefinitionStatus        `json:"status,omitempty"`
}

// ComponentDefinitionList is a list of ComponentDefinitions.
// +kubebuilder:object:root=true
type ComponentDefinitionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ComponentDefinition `json:"items"`
}

// TraitDefinitionSpec describes a type of trait.
// +kubebuilder:pruning:PreserveUnknownFields
type TraitDefinitionSpec struct {
	// +optional
	Reference *DefinitionReference `json:"definitionRef,omitempty"`
	// +optional
	RevisionEnabled bool `json:"revisionEnabled,omitempty"`
	// +optional
	WorkloadRefPath string `json:"workloadRefPath,omitempty"`
	// +optional
	PodDisruptive bool `json:"podDisruptive,omitempty"`
	// AppliesToWorkloads are definition names, resource.group of the workload, or *.
	// Empty means all.
	// +optional
	AppliesToWorkloads []string `json:"appliesToWorkloads,omitempty"`
	// ConflictsWith are names of traits that may not be on the same component.
	// +optional
	ConflictsWith []string `json:"conflictsWith,omitempty"`
	// +optional
	Schematic *Schematic `json:"schematic,omitempty"`
	// +optional
	Status *Status `json:"status,omitempty"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Extension *runtime.RawExtension `json:"extension,omitempty"`
	// +optional
	ManageWorkload bool `json:"manageWorkload,omitempty"`
	// +optional
	ControlPlaneOnly bool `json:"controlPlaneOnly,omitempty"`
	// +optional
	Stage string `json:"stage,omitempty"`
	// +optional
	Version string `json:"version,omitempty"`
}

// TraitDefinition is a type of trait that components may carry.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=trait,categories=oam
// +kubebuilder:printcolumn:name="APPLIES-TO",type=string,JSONPath=`.spec.appliesToWorkloads`
// +kubebuilder:printcolumn:name="DESCRIPTION",type=string,JSONPath=`.metadata.annotations.definition\.oam\.dev/description`
type TraitDefinition struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              TraitDefinitionSpec `json:"spec,omitempty"`
	Status            DefinitionStatus    `json:"status,omitempty"`
}

// TraitDefinitionList is a list of TraitDefinitions.
// +kubebuilder:object:root=true
type TraitDefinitionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TraitDefinition `json:"items"`
}

// PolicyDefinitionSpec describes a type of policy.
// +kubebuilder:pruning:PreserveUnknownFields
type PolicyDefinitionSpec struct {
	// +optional
	Reference *DefinitionReference `json:"definitionRef,omitempty"`
	// +optional
	Schematic *Schematic `json:"schematic,omitempty"`
	// +optional
	ManageHealthCheck bool `json:"manageHealthCheck,omitempty"`
	// +optional
	Version string `json:"version,omitempty"`
}

// PolicyDefinition is a type of policy that Applications may use.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=def-policy,categories=oam
type PolicyDefinition struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              PolicyDefinitionSpec `json:"spec,omitempty"`
	Status            DefinitionStatus     `json:"status,omitempty"`
}

// PolicyDefinitionList is a list of PolicyDefinitions.
// +kubebuilder:object:root=true
type PolicyDefinitionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PolicyDefinition `json:"items"`
}

// WorkflowStepDefinitionSpec describes a type of workflow step.
// +kubebuilder:pruning:PreserveUnknownFields
type WorkflowStepDefinitionSpec struct {
	// +optional
	Reference *DefinitionReference `json:"definitionRef,omitempty"`
	// +optional
	Schematic *Schematic `json:"schematic,omitempty"`
	// +optional
	Version string `json:"version,omitempty"`
}

// WorkflowStepDefinition is a type of workflow step. It is stored, not yet run.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=workflowstep,categories=oam
type WorkflowStepDefinition struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              WorkflowStepDefinitionSpec `json:"spec,omitempty"`
	Status            DefinitionStatus           `json:"status,omitempty"`
}

// WorkflowStepDefinitionList is a list of WorkflowStepDefinitions.
// +kubebuilder:object:root=true
type WorkflowStepDefinitionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WorkflowStepDefinition `json:"items"`
}

// WorkloadDefinitionSpec describes a kind that may be a component's main object.
// +kubebuilder:pruning:PreserveUnknownFields
type WorkloadDefinitionSpec struct {
	Reference DefinitionReference `json:"definitionRef"`
	// +optional
	ChildResourceKinds []ChildResourceKind `json:"childResourceKinds,omitempty"`
	// +optional
	RevisionLabel string `json:"revisionLabel,omitempty"`
	// +optional
	PodSpecPath string `json:"podSpecPath,omitempty"`
	// +optional
	Status *Status `json:"status,omitempty"`
	// +optional
	Schematic *Schematic `json:"schematic,omitempty"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Extension *runtime.RawExtension `json:"extension,omitempty"`
}

// WorkloadDefinition registers a kind of workload.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=workload,categories=oam
// +kubebuilder:printcolumn:name="DEFINITION-NAME",type=string,JSONPath=`.spec.definitionRef.name`
type WorkloadDefinition struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              WorkloadDefinitionSpec `json:"spec,omitempty"`
	Status            DefinitionStatus       `json:"status,omitempty"`
}

// WorkloadDefinitionList is a list of WorkloadDefinitions.
// +kubebuilder:object:root=true
type WorkloadDefinitionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WorkloadDefinition `json:"items"`
}
