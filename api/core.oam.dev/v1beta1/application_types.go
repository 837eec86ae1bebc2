// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ApplicationSpec is what should run.
type ApplicationSpec struct {
	Components []ApplicationComponent `json:"components"`
	// +optional
	Policies []AppPolicy `json:"policies,omitempty"`
	// +optional
	Workflow *Workflow `json:"workflow,omitempty"`
}

// ApplicationComponent is one workload or service of an Application.
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationComponent struct {
	// Name of the component, unique in the Application; usually also the name of
	// what it renders.
	Name string `json:"name"`
	// Type is the name of a ComponentDefinition, looked up in the Application's
	// namespace and then in vela-system.
	Type string `json:"type"`
	// +optional
	ExternalRevision string `json:"externalRevision,omitempty"`
	// Properties are the definition's parameters.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Properties *runtime.RawExtension `json:"properties,omitempty"`
	// DependsOn names components that must be healthy before this one is dispatched.
	// +optional
	DependsOn []string `json:"dependsOn,omitempty"`
	// +optional
	Inputs []StepInput `json:"inputs,omitempty"`
	// +optional
	Outputs []StepOutput `json:"outputs,omitempty"`
	// +optional
	Traits []ApplicationTrait `json:"traits,omitempty"`
	// Scopes, by kind.
	// +optional
	Scopes map[string]string `json:"scopes,omitempty"`
}

// StepInput takes a value that another component has put out.
type StepInput struct {
	From string `json:"from"`
	// +optional
	ParameterKey string `json:"parameterKey,omitempty"`
}

// StepOutput puts a value out under a name.
type StepOutput struct {
	Name string `json:"name"`
	// ValueFrom is a CUE expression.
	ValueFrom string `json:"valueFrom"`
}

// ApplicationTrait changes or adds to a component.
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationTrait struct {
	// Type is the name of a TraitDefinition.
	Type string `json:"type"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Properties *runtime.RawExtension `json:"properties,omitempty"`
}

// AppPolicy changes how an Application is deployed.
// +kubebuilder:pruning:PreserveUnknownFields
type AppPolicy struct {
	// +optional
	Name string `json:"name,omitempty"`
	// Type is a built-in policy or the name of a PolicyDefinition.
	Type string `json:"type"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Properties *runtime.RawExtension `json:"properties,omitempty"`
}

// Workflow is an order of deployment of one's own.
// +kubebuilder:pruning:PreserveUnknownFields
type Workflow struct {
	// +optional
	Ref string `json:"ref,omitempty"`
	// +optional
	Mode *WorkflowMode `json:"mode,omitempty"`
	// +optional
	Steps []WorkflowStep `json:"steps,omitempty"`
}

// WorkflowMode is StepByStep or DAG, of the steps and inside a step group.
type WorkflowMode struct {
	// +optional
	Steps string `json:"steps,omitempty"`
	// +optional
	SubSteps string `json:"subSteps,omitempty"`
}

// WorkflowStep is one step of a workflow.
// +kubebuilder:pruning:PreserveUnknownFields
type WorkflowStep struct {
	// +optional
	Name string `json:"name,omitempty"`
	// Type is the name of a WorkflowStepDefinition.
	Type string `json:"type"`
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Properties *runtime.RawExtension `json:"properties,omitempty"`
}

// ApplicationStatus is what runs.
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationStatus struct {
	// Conditions: Parsed, Revision, Render, Applied, Ready, Synced.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase in KubeVela's words.
	// +optional
	Phase Phase `json:"status,omitempty"`
	// Services are the components, in the order of the spec.
	// +optional
	Services []ApplicationComponentStatus `json:"services,omitempty"`
	// LatestRevision is the ApplicationRevision of the newest spec that rendered.
	// +optional
	LatestRevision *Revision `json:"latestRevision,omitempty"`
	// AppliedResources are the objects of the inventory.
	// +optional
	AppliedResources []ClusterObjectReference `json:"appliedResources,omitempty"`
	// Workflow is kept as KubeVela writes it; this engine has no workflow steps yet.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Workflow *runtime.RawExtension `json:"workflow,omitempty"`
}

// ApplicationComponentStatus is the health of one component.
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationComponentStatus struct {
	Name string `json:"name"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// WorkloadDefinition is the kind of the main object.
	// +optional
	WorkloadDefinition WorkloadGVK `json:"workloadDefinition,omitempty"`
	// Healthy is true when the main object and every trait are.
	Healthy bool `json:"healthy"`
	// WorkloadHealthy is true when the main object is.
	// +optional
	WorkloadHealthy bool `json:"workloadHealthy,omitempty"`
	// Details are the values of the definition's status.details.
	// +optional
	Details map[string]string `json:"details,omitempty"`
	// Message is the definition's customStatus, or what is wrong.
	// +optional
	Message string `json:"message,omitempty"`
	// +optional
	Traits []ApplicationTraitStatus `json:"traits,omitempty"`
}

// ApplicationTraitStatus is the health of one trait.
// +kubebuilder:pruning:PreserveUnknownFields
type ApplicationTraitStatus struct {
	Type    string `json:"type"`
	Healthy bool   `json:"healthy"`
	// +optional
	Details map[string]string `json:"details,omitempty"`
	// +optional
	Message string `json:"message,omitempty"`
}

// WorkloadGVK is a kind.
type WorkloadGVK struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// Revision names an ApplicationRevision.
type Revision struct {
	Name string `json:"name"`
	// Revision is N of NAME-vN.
	Revision int64 `json:"revision"`
	// +optional
	RevisionHash string `json:"revisionHash,omitempty"`
}

// ClusterObjectReference names one object. The fields are the ones that the engine
// fills of corev1.ObjectReference.
// +kubebuilder:pruning:PreserveUnknownFields
type ClusterObjectReference struct {
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// +optional
	Creator string `json:"creator,omitempty"`
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// +optional
	Kind string `json:"kind,omitempty"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// +optional
	Name string `json:"name,omitempty"`
}

// Application is a set of components with their traits, deployed together.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=app,categories=oam
// +kubebuilder:printcolumn:name="COMPONENT",type=string,JSONPath=`.spec.components[*].name`
// +kubebuilder:printcolumn:name="TYPE",type=string,JSONPath=`.spec.components[*].type`
// +kubebuilder:printcolumn:name="PHASE",type=string,JSONPath=`.status.status`
// +kubebuilder:printcolumn:name="HEALTHY",type=string,JSONPath=`.status.services[*].healthy`
// +kubebuilder:printcolumn:name="STATUS",type=string,JSONPath=`.status.services[*].message`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type Application struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +kubebuilder:pruning:PreserveUnknownFields
	Spec   ApplicationSpec   `json:"spec,omitempty"`
	Status ApplicationStatus `json:"status,omitempty"`
}

// ApplicationList is a list of Applications.
// +kubebuilder:object:root=true
type ApplicationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Application `json:"items"`
}
