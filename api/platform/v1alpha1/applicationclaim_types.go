// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ApplicationClaimSpec is the application that a team asks for.
//
// +kubebuilder:validation:XValidation:rule="!has(self.framework) || self.framework.size() == 0 || (self.language == 'python' && self.framework in ['fastapi','flask','django']) || (self.language == 'java' && self.framework in ['springboot','quarkus','micronaut']) || (self.language == 'nodejs' && self.framework in ['express','nestjs','fastify']) || (self.language == 'go' && self.framework in ['nethttp','gin','echo'])",message="the framework must fit the language: python has fastapi, flask, django; java has springboot, quarkus, micronaut; nodejs has express, nestjs, fastify; go has nethttp, gin, echo"
// +kubebuilder:validation:XValidation:rule="!has(self.size) || !has(self.targetVCluster) || self.targetVCluster.size() == 0 || self.targetVCluster == self.name",message="size is that of the environment that is made for the application; an environment named by targetVCluster has its own: leave size out here and set it in that VClusterEnvironmentClaim"
// +kubebuilder:validation:XValidation:rule="(has(self.targetVCluster) && self.targetVCluster.size() > 0 ? self.targetVCluster : self.name) == (has(oldSelf.targetVCluster) && oldSelf.targetVCluster.size() > 0 ? oldSelf.targetVCluster : oldSelf.name)",message="targetVCluster cannot be changed, because data does not move with an application; create another claim instead"
type ApplicationClaimSpec struct {
	// Name of the application: the OAM component, and by default the environment and
	// the repositories. At most 33 characters: its cache's StatefulSet is called
	// NAME-cache-redis-master, and a StatefulSet's name may have 52.
	// +kubebuilder:validation:MaxLength=33
	// +kubebuilder:validation:Pattern=`^[a-z]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="!self.contains('--')",message="the name may not contain '--', which separates a virtual cluster's name from its namespaces on the host"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the name cannot be changed; create another claim instead"
	Name string `json:"name"`
	// AppContainer is the pair of repositories that the application joins. Default: Name.
	// +kubebuilder:validation:MaxLength=40
	// +optional
	AppContainer string `json:"appContainer,omitempty"`
	// Language of the source template.
	// +kubebuilder:validation:Enum=python;java;nodejs;go
	Language string `json:"language"`
	// Framework of the source template; must fit the language.
	// +optional
	Framework string `json:"framework,omitempty"`
	// +kubebuilder:validation:Enum=postgres;mongodb;none
	// +kubebuilder:default=none
	// +kubebuilder:validation:XValidation:rule="self != 'mongodb'",message="the catalog of this version has postgres; mongodb is not in it"
	Database string `json:"database,omitempty"`
	// +kubebuilder:validation:Enum=redis;none
	// +kubebuilder:default=none
	Cache string `json:"cache,omitempty"`
	// Services are any other catalog entries.
	// +listType=map
	// +listMapKey=name
	// +optional
	Services []ServiceRequest `json:"services,omitempty"`
	// ExposeAPI gives the application a route from outside.
	// +optional
	ExposeAPI bool `json:"exposeApi,omitempty"`
	// TargetVCluster is the virtual cluster to deliver into. Default: one of the
	// application's own, created when missing.
	// +kubebuilder:validation:MaxLength=40
	// +optional
	TargetVCluster string `json:"targetVCluster,omitempty"`
	// Size of the environment that is made for the application, as a
	// VClusterEnvironmentClaim has it: small, medium, large or xlarge. Default: medium. An
	// environment that is there already keeps its own.
	// +kubebuilder:validation:Enum=small;medium;large;xlarge
	// +optional
	Size string `json:"size,omitempty"`
	// +optional
	Repository *RepositoryRequest `json:"repository,omitempty"`
	// Image to run. Default: the source template's image.
	// +optional
	Image string `json:"image,omitempty"`
	// DeletionPolicy of the repositories when the claim goes.
	// +kubebuilder:default=Orphan
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// ServiceRequest asks for one catalog entry.
type ServiceRequest struct {
	// Name of the OAM component.
	Name string `json:"name"`
	// Type is a ComponentDefinition's name.
	Type string `json:"type"`
	// Parameters become the component's properties.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Parameters *apiextensionsv1.JSON `json:"parameters,omitempty"`
}

// RepositoryRequest says where the repositories are made.
type RepositoryRequest struct {
	// +kubebuilder:validation:Enum=local
	// +kubebuilder:default=local
	Provider string `json:"provider,omitempty"`
	// +optional
	Owner string `json:"owner,omitempty"`
	// +kubebuilder:validation:Enum=public;private
	// +kubebuilder:default=private
	Visibility string `json:"visibility,omitempty"`
	// Template is a source template of the catalog. Default: the language's.
	// +optional
	Template string `json:"template,omitempty"`
}

// ApplicationClaimStatus is written by the claim stage.
type ApplicationClaimStatus struct {
	// Ready repeats the condition, as the kind's first version did.
	// +optional
	Ready bool `json:"ready,omitempty"`
	// +optional
	Repository *RepositorySummary `json:"repository,omitempty"`
	// +optional
	GitOps *GitOpsSummary `json:"gitops,omitempty"`
	// Environment is the virtual cluster's name.
	// +optional
	Environment string `json:"environment,omitempty"`
	// +optional
	Application *ApplicationSummary `json:"application,omitempty"`
	// +listType=map
	// +listMapKey=name
	// +optional
	Infrastructure []InfrastructureSummary `json:"infrastructure,omitempty"`
	// Stages records when each stage's condition first became True, for the
	// account of where the time went.
	// +listType=map
	// +listMapKey=name
	// +optional
	Stages []StageTiming `json:"stages,omitempty"`
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RepositorySummary of the source repository.
type RepositorySummary struct {
	URL      string `json:"url,omitempty"`
	CloneURL string `json:"cloneUrl,omitempty"`
	Branch   string `json:"branch,omitempty"`
}

// GitOpsSummary of the GitOps repository and what was last delivered from it.
type GitOpsSummary struct {
	URL      string `json:"url,omitempty"`
	Revision string `json:"revision,omitempty"`
}

// ApplicationSummary says where the application answers.
type ApplicationSummary struct {
	// Endpoint inside the virtual cluster, or outside when exposed.
	Endpoint string `json:"endpoint,omitempty"`
}

// InfrastructureSummary is one service that the application uses.
type InfrastructureSummary struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Endpoint is host:port inside the virtual cluster.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
	// SecretRef is the binding Secret inside the virtual cluster.
	// +optional
	SecretRef *corev1.SecretReference `json:"secretRef,omitempty"`
}

// StageTiming is when a stage was first done.
type StageTiming struct {
	// Name is the stage's condition type.
	Name string `json:"name"`
	// StartedAt is when the stage before was done, or the claim was created.
	StartedAt metav1.MicroTime `json:"startedAt"`
	// FinishedAt is when the condition first became True.
	FinishedAt metav1.MicroTime `json:"finishedAt"`
}

// ApplicationClaim asks for an application with its repositories, its environment
// and its services.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=appclaim,categories=skerry
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.status.environment`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ApplicationClaim struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ApplicationClaimSpec   `json:"spec"`
	Status            ApplicationClaimStatus `json:"status,omitempty"`
}

// ApplicationClaimList is a list of ApplicationClaims.
// +kubebuilder:object:root=true
type ApplicationClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ApplicationClaim `json:"items"`
}
