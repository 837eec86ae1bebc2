// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

// ReleaseSpec is what a Helm release should be.
type ReleaseSpec struct {
	// ConnectionDetails copies fields of the release's objects into the
	// connection Secret.
	// +optional
	ConnectionDetails []helmv1beta1.ConnectionDetail `json:"connectionDetails,omitempty"`

	ForProvider ReleaseParameters `json:"forProvider"`

	// RollbackLimit is how often a failed upgrade is rolled back and tried again,
	// with growing pauses, before the engine waits for a change of the Release.
	// Without it the built-in engine makes five attempts in all.
	// +kubebuilder:validation:Minimum=0
	// +optional
	RollbackLimit *int32 `json:"rollbackLimit,omitempty"`

	// WriteConnectionSecretToReference names the connection Secret.
	// +optional
	WriteConnectionSecretToReference *corev1.SecretReference `json:"writeConnectionSecretToRef,omitempty"`

	// ProviderConfigReference is accepted; inside a virtual cluster the platform's
	// own configuration always applies.
	// +kubebuilder:default={"name":"default"}
	// +optional
	ProviderConfigReference *helmv1beta1.ProviderConfigReference `json:"providerConfigRef,omitempty"`

	// ManagementPolicies limit what the engine may do.
	// +kubebuilder:default={"*"}
	// +optional
	ManagementPolicies []helmv1beta1.ManagementPolicy `json:"managementPolicies,omitempty"`

	// DeletionPolicy says what happens to the Helm release when this object is deleted.
	// +kubebuilder:default=Delete
	// +optional
	DeletionPolicy helmv1beta1.DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// ReleaseParameters are the configurable fields of a Release. They differ from the
// namespaced kind's where a reference needs a namespace.
type ReleaseParameters struct {
	Chart ChartSpec `json:"chart"`

	// Namespace to install into.
	Namespace string `json:"namespace"`

	// PatchesFrom are kustomize patches for the rendered objects.
	// +optional
	PatchesFrom []ValueFromSource `json:"patchesFrom,omitempty"`

	ValuesSpec `json:",inline"`

	helmv1beta1.InstallParameters `json:",inline"`
}

// ChartSpec says where the chart is.
type ChartSpec struct {
	// Repository URL (https://..., oci://...), needed when URL is empty.
	// +optional
	Repository string `json:"repository,omitempty"`
	// Name of the chart, needed when URL is empty.
	// +optional
	Name string `json:"name,omitempty"`
	// Version of the chart, exact or a semantic version range; the newest when empty.
	// +optional
	Version string `json:"version,omitempty"`
	// URL of the chart package (.tgz), in place of Repository, Name and Version.
	// +optional
	URL string `json:"url,omitempty"`
	// Digest of an OCI chart, as "sha256:" and 64 hexadecimal digits.
	// +kubebuilder:validation:Pattern=`^sha256:[a-f0-9]{64}$`
	// +optional
	Digest string `json:"digest,omitempty"`
	// PullSecretRef names a Secret with the keys username and password.
	// +optional
	PullSecretRef *corev1.SecretReference `json:"pullSecretRef,omitempty"`
}

// ValuesSpec holds the values of a release; later ones win: valuesFrom in their
// order, then values, then set.
type ValuesSpec struct {
	// Values of any shape.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Values runtime.RawExtension `json:"values,omitempty"`
	// +optional
	ValuesFrom []ValueFromSource `json:"valuesFrom,omitempty"`
	// +optional
	Set []SetVal `json:"set,omitempty"`
}

// ValueFromSource is a key of a ConfigMap or of a Secret.
type ValueFromSource struct {
	// +optional
	ConfigMapKeyRef *DataKeySelector `json:"configMapKeyRef,omitempty"`
	// +optional
	SecretKeyRef *DataKeySelector `json:"secretKeyRef,omitempty"`
}

// DataKeySelector names a key of a ConfigMap or Secret.
type DataKeySelector struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Key is values.yaml when empty.
	// +optional
	Key string `json:"key,omitempty"`
	// Optional is true when the object or the key may be missing.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// SetVal sets one value, its name written as for "helm install --set".
type SetVal struct {
	Name string `json:"name"`
	// +optional
	Value string `json:"value,omitempty"`
	// +optional
	ValueFrom *ValueFromSource `json:"valueFrom,omitempty"`
}

// Release is one Helm release.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories={crossplane,managed,helm}
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.forProvider.namespace`
// +kubebuilder:printcolumn:name="Chart",type=string,JSONPath=`.spec.forProvider.chart.name`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.forProvider.chart.version`
// +kubebuilder:printcolumn:name="Synced",type=string,JSONPath=`.status.conditions[?(@.type=='Synced')].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.atProvider.state`
// +kubebuilder:printcolumn:name="Revision",type=integer,JSONPath=`.status.atProvider.revision`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Release struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ReleaseSpec               `json:"spec"`
	Status            helmv1beta1.ReleaseStatus `json:"status,omitempty"`
}

// ReleaseList is a list of Releases.
// +kubebuilder:object:root=true
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Release `json:"items"`
}
