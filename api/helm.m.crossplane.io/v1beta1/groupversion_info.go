// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1beta1 holds the namespaced kinds of the group helm.m.crossplane.io
// with the fields of Crossplane's provider-helm 1.4, so that documents written for
// it work unchanged. Releases of both scopes inside a virtual cluster become
// Releases of this group on the host, where station 8 of docs/flow.md
// (internal/helm, or provider-helm itself) installs their charts.
//
// +kubebuilder:object:generate=true
// +groupName=helm.m.crossplane.io
package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "helm.m.crossplane.io", Version: "v1beta1"}

	// SchemeBuilder registers the kinds of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Release{}, &ReleaseList{},
		&ProviderConfig{}, &ProviderConfigList{},
		&ClusterProviderConfig{}, &ClusterProviderConfigList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
