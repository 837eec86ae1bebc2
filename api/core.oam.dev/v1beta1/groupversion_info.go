// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1beta1 holds the kinds of the group core.oam.dev that Skerry serves in
// every virtual cluster, wire compatible with KubeVela 1.10: a document written for
// it is accepted unchanged, and what it has more than is modelled here is preserved.
// The platform's own definitions live on the host as the same kinds.
//
// +kubebuilder:object:generate=true
// +groupName=core.oam.dev
package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "core.oam.dev", Version: "v1beta1"}

	// SchemeBuilder registers the kinds of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Application{}, &ApplicationList{},
		&ApplicationRevision{}, &ApplicationRevisionList{},
		&ComponentDefinition{}, &ComponentDefinitionList{},
		&TraitDefinition{}, &TraitDefinitionList{},
		&PolicyDefinition{}, &PolicyDefinitionList{},
		&WorkflowStepDefinition{}, &WorkflowStepDefinitionList{},
		&WorkloadDefinition{}, &WorkloadDefinitionList{},
		&ResourceTracker{}, &ResourceTrackerList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
