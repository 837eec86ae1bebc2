// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the kinds of the group platform.skerry.dev: the claims
// that people write (ApplicationClaim, VClusterEnvironmentClaim) and the objects
// that the stages hand to each other (VirtualCluster, VirtualNamespace,
// Repository). docs/flow.md draws who writes and who reads each.
//
// +kubebuilder:object:generate=true
// +groupName=platform.skerry.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "platform.skerry.dev", Version: "v1alpha1"}

	// SchemeBuilder registers the kinds of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&ApplicationClaim{}, &ApplicationClaimList{},
		&VClusterEnvironmentClaim{}, &VClusterEnvironmentClaimList{},
		&VirtualCluster{}, &VirtualClusterList{},
		&VirtualNamespace{}, &VirtualNamespaceList{},
		&Repository{}, &RepositoryList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
