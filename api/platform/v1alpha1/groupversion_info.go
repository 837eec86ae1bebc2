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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/scheme"
)

var (
	// GroupVersion of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "platform.skerry.dev", Version: "v1alpha1"}

	// SchemeBuilder registers the kinds of this package.
	SchemeBuilder = &scheme.Builder{GroupVersion: GroupVersion}

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func init() {
	SchemeBuilder.Register(
		&ApplicationClaim{}, &ApplicationClaimList{},
		&VClusterEnvironmentClaim{}, &VClusterEnvironmentClaimList{},
		&VirtualCluster{}, &VirtualClusterList{},
		&VirtualNamespace{}, &VirtualNamespaceList{},
		&Repository{}, &RepositoryList{},
	)
}
