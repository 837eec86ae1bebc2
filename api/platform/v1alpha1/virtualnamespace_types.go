// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// HostNamespace is the namespace on the host that stands for a namespace of a
// virtual cluster: "<vcluster>--<namespace>", with the end replaced by 10
// hexadecimal digits of its SHA-256 when it would be longer than 63.
func HostNamespace(virtualCluster, namespace string) string {
	const most, digits = 63, 10
	name := virtualCluster + "--" + namespace
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:most-digits-1] + "-" + hex.EncodeToString(sum[:])[:digits]
}

// VirtualNamespaceStatus is written by the operator.
type VirtualNamespaceStatus struct {
	// HostNamespace that stands for it; usable once Ready is True.
	// +optional
	HostNamespace string `json:"hostNamespace,omitempty"`
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// VirtualNamespace is how a tenant's syncer asks for a host namespace: only the
// operator creates namespaces, roles and quotas. It lives in the home namespace and has the
// name of the namespace inside the virtual cluster. Deleting it deletes the host
// namespace, Releases first.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=vns,categories=skerry
// +kubebuilder:printcolumn:name="Host namespace",type=string,JSONPath=`.status.hostNamespace`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type VirtualNamespace struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Status            VirtualNamespaceStatus `json:"status,omitempty"`
}

// VirtualNamespaceList is a list of VirtualNamespaces.
// +kubebuilder:object:root=true
type VirtualNamespaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VirtualNamespace `json:"items"`
}
