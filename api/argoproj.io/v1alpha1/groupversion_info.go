// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the part of Argo CD's group argoproj.io that the built-in
// GitOps engine serves: Application and AppProject, wire compatible with Argo CD 3.
// Fields that this package does not name are preserved by the API server and left
// untouched by the engine, which writes with patches only. Where the host runs
// Argo CD itself, its own CRDs stay and the same objects are reconciled by it.
//
// As in Argo CD, neither kind has a status subresource: status is written with the object.
//
// Source of the wire format: https://argo-cd.readthedocs.io/en/stable/operator-manual/application.yaml
// and project.yaml.
//
// +kubebuilder:object:generate=true
// +groupName=argoproj.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "argoproj.io", Version: "v1alpha1"}

	// SchemeBuilder registers the kinds of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Application{}, &ApplicationList{},
		&AppProject{}, &AppProjectList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
