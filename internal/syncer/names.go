// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import "k8s.io/apimachinery/pkg/runtime/schema"

// fieldOwner is the field manager of everything that the syncer writes, on both
// sides. What it owns on a host object is read back from there: see ownedMeta.
const fieldOwner = "skerry-syncer"

const (
	// virtualRootCA is the ConfigMap that Kubernetes publishes in every namespace.
	// The host publishes its own under the same name, so on the host the virtual
	// cluster's stands under hostRootCA. It is the only name that ever changes.
	virtualRootCA = "kube-root-ca.crt"
	hostRootCA    = "skerry-root-ca.crt"

	// tokenSecretPrefix and the virtual Pod's UID make the name of the host Secret
	// with the Pod's service account tokens: no two Pods ever share one.
	tokenSecretPrefix = "skerry-token-"
	// labelTokens is "true" on those Secrets; annotationTokenPod names the Pod and
	// annotationTokenRefresh is when to replace them, in RFC 3339.
	labelTokens            = "platform.skerry.dev/tokens"
	annotationTokenPod     = "platform.skerry.dev/pod"
	annotationTokenRefresh = "platform.skerry.dev/refresh-at"

	// annotationHash, on a host Release, is the hash of what was last written. The
	// API server defaults and prunes a Release's spec, so the spec itself cannot
	// tell whether the virtual one has changed since.
	annotationHash = "platform.skerry.dev/spec-hash"

	// connectionSecretType is Crossplane's type of a connection Secret.
	connectionSecretType = "connection.crossplane.io/v1alpha1"
	// helmStorageType is Helm's type of a release record; never read here.
	helmStorageType = "helm.sh/release.v1"
)

var (
	clusterReleaseKind    = schema.GroupVersionKind{Group: "helm.crossplane.io", Version: "v1beta1", Kind: "Release"}
	namespacedReleaseKind = schema.GroupVersionKind{Group: "helm.m.crossplane.io", Version: "v1beta1", Kind: "Release"}

	// definitionKinds are the platform's OAM definitions that every virtual cluster sees.
	definitionKinds = []schema.GroupVersionKind{
		{Group: "core.oam.dev", Version: "v1beta1", Kind: "ComponentDefinition"},
		{Group: "core.oam.dev", Version: "v1beta1", Kind: "TraitDefinition"},
		{Group: "core.oam.dev", Version: "v1beta1", Kind: "PolicyDefinition"},
		{Group: "core.oam.dev", Version: "v1beta1", Kind: "WorkflowStepDefinition"},
	}
)
