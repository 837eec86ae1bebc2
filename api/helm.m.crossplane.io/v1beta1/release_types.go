// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// DeletionPolicy says what happens to the Helm release when its Release is deleted.
// +kubebuilder:validation:Enum=Orphan;Delete
type DeletionPolicy string

const (
	// DeletionDelete uninstalls the Helm release.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionOrphan leaves the Helm release and everything that it installed.
	DeletionOrphan DeletionPolicy = "Orphan"
)

// ManagementPolicy is one of the actions that Crossplane may be limited to.
// +kubebuilder:validation:Enum=Observe;Create;Update;Delete;LateInitialize;*
type ManagementPolicy string

// ManagementAll is the default. The built-in engine also serves all policies but Delete.
const ManagementAll ManagementPolicy = "*"

// ProviderConfigReference names a ProviderConfig or ClusterProviderConfig.
type ProviderConfigReference struct {
	// +optional
	Kind string `json:"kind,omitempty"`
	Name string `json:"name"`
}

// LocalSecretReference names a Secret in the namespace of the Release.
type LocalSecretReference struct {
	Name string `json:"name"`
}

// ReleaseSpec is what a Helm release should be.
type ReleaseSpec struct {
	// ConnectionDetails copies fields of the release's objects into the
	// connection Secret.
	// +optional
	ConnectionDetails []ConnectionDetail `json:"connectionDetails,omitempty"`

	ForProvider ReleaseParameters `json:"forProvider"`

	// RollbackLimit is how often a failed upgrade is rolled back and tried again,
	// with growing pauses, before the engine waits for a change of the Release.
	// Without it the built-in engine makes five attempts in all.
	// +kubebuilder:validation:Minimum=0
	// +optional
	RollbackLimit *int32 `json:"rollbackLimit,omitempty"`

	// WriteConnectionSecretToReference names the connection Secret.
	// +optional
	WriteConnectionSecretToReference *LocalSecretReference `json:"writeConnectionSecretToRef,omitempty"`

	// ProviderConfigReference is accepted; inside a virtual cluster the platform's
	// own configuration always applies.
	// +kubebuilder:default={"kind":"ClusterProviderConfig","name":"default"}
	// +optional
	ProviderConfigReference *ProviderConfigReference `json:"providerConfigRef,omitempty"`

	// ManagementPolicies limit what the engine may do.
	// +kubebuilder:default={"*"}
	// +optional
	ManagementPolicies []ManagementPolicy `json:"managementPolicies,omitempty"`

	// DeletionPolicy says what happens to the Helm release when this object is
	// deleted. Crossplane has this field on the cluster-scoped kind only; it is
	// here too because Releases of both kinds arrive here.
	// +kubebuilder:default=Delete
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// ReleaseParameters are the configurable fields of a Release.
type ReleaseParameters struct {
	Chart ChartSpec `json:"chart"`

	// Namespace to install into; the namespace of the Release when empty. No other
	// namespace is allowed inside a virtual cluster.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// PatchesFrom are kustomize patches for the rendered objects.
	// +optional
	PatchesFrom []ValueFromSource `json:"patchesFrom,omitempty"`

	ValuesSpec `json:",inline"`

	InstallParameters `json:",inline"`
}

// InstallParameters are the switches of a Release, the same in both groups.
type InstallParameters struct {
	// SkipCreateNamespace is accepted: the built-in engine never creates the namespace.
	// +optional
	SkipCreateNamespace bool `json:"skipCreateNamespace,omitempty"`

	// Wait counts a revision as failed when its workloads are not ready within
	// WaitTimeout. The condition Ready tells about the workloads with or without it.
	// +optional
	Wait bool `json:"wait,omitempty"`

	// WaitTimeout, 5m when empty, also bounds the chart's hooks.
	// +optional
	WaitTimeout *metav1.Duration `json:"waitTimeout,omitempty"`

	// SkipCRDs leaves out the objects of the chart's crds folder.
	// +optional
	SkipCRDs bool `json:"skipCRDs,omitempty"`

	// InsecureSkipTLSVerify skips the verification of the repository's certificate.
	// +optional
	InsecureSkipTLSVerify bool `json:"insecureSkipTLSVerify,omitempty"`

	// PlainHTTP talks to an OCI registry without TLS.
	// +optional
	PlainHTTP bool `json:"plainHTTP,omitempty"`

	// TakeOwnership installs over objects that exist and belong to no release.
	// +optional
	TakeOwnership bool `json:"takeOwnership,omitempty"`

	// MaxHistory is how many revisions are kept; 0 means 10.
	// +kubebuilder:validation:Minimum=0
	// +optional
	MaxHistory int `json:"maxHistory,omitempty"`

	// SSAForceConflicts takes over fields that another field manager owns.
	// +optional
	SSAForceConflicts bool `json:"ssaForceConflicts,omitempty"`
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
	PullSecretRef *LocalSecretReference `json:"pullSecretRef,omitempty"`
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

// ValueFromSource is a key of a ConfigMap or of a Secret in the Release's namespace.
type ValueFromSource struct {
	// +optional
	ConfigMapKeyRef *DataKeySelector `json:"configMapKeyRef,omitempty"`
	// +optional
	SecretKeyRef *DataKeySelector `json:"secretKeyRef,omitempty"`
}

// DataKeySelector names a key of a ConfigMap or Secret.
type DataKeySelector struct {
	Name string `json:"name"`
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

// ConnectionDetail copies one field of an object into the connection Secret.
type ConnectionDetail struct {
	corev1.ObjectReference `json:",inline"`
	// +optional
	ToConnectionSecretKey string `json:"toConnectionSecretKey,omitempty"`
	// SkipPartOfReleaseCheck allows an object that the release did not make.
	// +optional
	SkipPartOfReleaseCheck bool `json:"skipPartOfReleaseCheck,omitempty"`
}

// ReleaseStatus is what was last seen of a release.
type ReleaseStatus struct {
	// ObservedGeneration of the Release.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +optional
	AtProvider ReleaseObservation `json:"atProvider,omitempty"`
	// PatchesSha is the digest of the patches that were applied.
	// +optional
	PatchesSha string `json:"patchesSha,omitempty"`
	// Failed counts the attempts that failed since the last change of the Release.
	// +optional
	Failed int32 `json:"failed,omitempty"`
	// Synced is true when the last revision is what the Release asks for.
	// +optional
	Synced bool `json:"synced,omitempty"`
	// Conditions Ready and Synced, as in Crossplane: type, status, reason,
	// message (Crossplane leaves an empty one out, hence no schema here),
	// lastTransitionTime, observedGeneration.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ReleaseObservation is the Helm release as its storage has it.
type ReleaseObservation struct {
	// State is Helm's status: deployed, failed, pending-install, ...
	// +optional
	State string `json:"state,omitempty"`
	// +optional
	ReleaseDescription string `json:"releaseDescription,omitempty"`
	// Revision counts installs, upgrades and rollbacks from 1.
	// +optional
	Revision int `json:"revision,omitempty"`
	// Digest of the chart's content, as "sha256:" and hexadecimal digits.
	// +optional
	Digest string `json:"digest,omitempty"`
	// Version of the chart.
	// +optional
	Version string `json:"version,omitempty"`
}

// Release is one Helm release.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,categories={crossplane,managed,helm}
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
	Spec              ReleaseSpec   `json:"spec"`
	Status            ReleaseStatus `json:"status,omitempty"`
}

// ReleaseList is a list of Releases.
// +kubebuilder:object:root=true
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Release `json:"items"`
}
