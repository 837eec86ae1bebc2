// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1beta1 holds the cluster-scoped kinds of the group helm.crossplane.io
// with the fields of Crossplane's provider-helm 1.4. Station 7 of docs/flow.md
// renders them inside virtual clusters; the syncer (station 8) turns each into the
// namespaced kind of helm.m.crossplane.io, whose package holds the types that both share.
//
// +kubebuilder:object:generate=true
// +groupName=helm.crossplane.io
package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "helm.crossplane.io", Version: "v1beta1"}

	// SchemeBuilder registers the kinds of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Release{}, &ReleaseList{},
		&ProviderConfig{}, &ProviderConfigList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
