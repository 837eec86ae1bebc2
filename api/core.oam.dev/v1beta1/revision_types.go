// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ApplicationRevisionSpec is one version of an Application with the definitions that
// it was rendered with, so that it can be rendered again when they have changed.
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationRevisionSpec struct {
	// Application as it was, without status.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Application Application `json:"application"`
	// ComponentDefinitions by name.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	ComponentDefinitions map[string]*ComponentDefinition `json:"componentDefinitions,omitempty"`
	// TraitDefinitions by name.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	TraitDefinitions map[string]*TraitDefinition `json:"traitDefinitions,omitempty"`
	// PolicyDefinitions by name.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	PolicyDefinitions map[string]PolicyDefinition `json:"policyDefinitions,omitempty"`
}

// ApplicationRevisionStatus says how the revision did.
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationRevisionStatus struct {
	// Succeeded is true once the revision has been running.
	Succeeded bool `json:"succeeded"`
}

// ApplicationRevision is one version of an Application, called NAME-vN.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=apprev,categories=oam
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="PUBLISH_VERSION",type=string,JSONPath=`.metadata.annotations['app\.oam\.dev\/publishVersion']`
// +kubebuilder:printcolumn:name="SUCCEEDED",type=string,JSONPath=`.status.succeeded`
type ApplicationRevision struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ApplicationRevisionSpec   `json:"spec,omitempty"`
	Status            ApplicationRevisionStatus `json:"status,omitempty"`
}

// ApplicationRevisionList is a list of ApplicationRevisions.
// +kubebuilder:object:root=true
type ApplicationRevisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ApplicationRevision `json:"items"`
}

// ResourceTrackerType is root, versioned or component-revision in KubeVela; this
// engine writes root trackers only.
type ResourceTrackerType string

// ResourceTrackerTypeRoot is the type of a tracker that holds the whole inventory of
// an Application.
const ResourceTrackerTypeRoot ResourceTrackerType = "root"

// ResourceTrackerSpec is an inventory.
// +kubebuilder:pruning:PreserveUnknownFields
type ResourceTrackerSpec struct {
	// +optional
	Type ResourceTrackerType `json:"type,omitempty"`
	// ApplicationGeneration is the metadata.generation of the Application that the
	// inventory was last written for.
	ApplicationGeneration int64 `json:"applicationGeneration"`
	// ManagedResources are the objects that exist or may exist because of the
	// Application. What leaves this list has been seen to be gone.
	// +optional
	ManagedResources []ManagedResource `json:"managedResources,omitempty"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Compression *runtime.RawExtension `json:"compression,omitempty"`
}

// ManagedResource is one object of an inventory.
// +kubebuilder:pruning:PreserveUnknownFields
type ManagedResource struct {
	ClusterObjectReference `json:",inline"`
	// Component that the object was rendered for.
	// +optional
	Component string `json:"component,omitempty"`
	// Trait that the object was rendered for.
	// +optional
	Trait string `json:"trait,omitempty"`
	// DependsOn are the components that its component depended on when it was applied:
	// they are deleted after it.
	// +optional
	DependsOn []string `json:"dependsOn,omitempty"`
	// Deleted is true while the object is being removed.
	// +optional
	Deleted bool `json:"deleted,omitempty"`
	// SkipGC keeps the object when the Application drops it or goes.
	// +optional
	SkipGC bool `json:"skipGC,omitempty"`
}

// ResourceTracker is the inventory of one Application, called APPLICATION.NAMESPACE. It is
// cluster-scoped because an Application may own objects in any namespace and
// cluster-scoped ones.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=rt,categories=oam
// +kubebuilder:printcolumn:name="TYPE",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="APP",type=string,JSONPath=`.metadata.labels['app\.oam\.dev\/name']`
// +kubebuilder:printcolumn:name="APP-NS",type=string,JSONPath=`.metadata.labels['app\.oam\.dev\/namespace']`
// +kubebuilder:printcolumn:name="APP-GEN",type=number,JSONPath=`.spec.applicationGeneration`
type ResourceTracker struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ResourceTrackerSpec `json:"spec,omitempty"`
}

// ResourceTrackerList is a list of ResourceTrackers.
// +kubebuilder:object:root=true
type ResourceTrackerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ResourceTracker `json:"items"`
}
