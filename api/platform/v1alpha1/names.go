// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Labels and annotations that Skerry writes. A label is used where somebody
// selects by it, an annotation where a value is only read.
const (
	// LabelVirtualCluster names the virtual cluster that a host object belongs to:
	// its home namespace, its host namespaces and everything synced into them.
	LabelVirtualCluster = "platform.skerry.dev/virtual-cluster"
	// LabelVirtualNamespace, on a host namespace, is the name of the namespace
	// inside the virtual cluster that it stands for.
	LabelVirtualNamespace = "platform.skerry.dev/virtual-namespace"
	// LabelOwner says on which side an object of a synced kind has its truth:
	// OwnerVirtual on host objects that the syncer made from a virtual one,
	// OwnerHost on virtual objects that the syncer made from a host one.
	LabelOwner = "platform.skerry.dev/owner"
	// LabelBinding marks a binding Secret (type servicebinding.io/...) that a
	// chart made on the host and that must appear in the virtual cluster. Its
	// value is the name of the component that it binds.
	LabelBinding = "platform.skerry.dev/binding"
	// LabelClaim names the claim that an object was made for, as NAMESPACE.NAME.
	LabelClaim = "platform.skerry.dev/claim"

	// AnnotationVirtualUID, on a synced host object, is the UID of the virtual
	// object that it was made from.
	AnnotationVirtualUID = "platform.skerry.dev/virtual-uid"
	// AnnotationVirtualNamespace and AnnotationVirtualServiceAccount keep, on a
	// host Pod, what the downward API must answer inside the virtual cluster.
	AnnotationVirtualNamespace      = "platform.skerry.dev/virtual-namespace"
	AnnotationVirtualServiceAccount = "platform.skerry.dev/virtual-service-account"
	// AnnotationVirtualLabels and AnnotationVirtualAnnotations keep, on a host Pod that mounts
	// all its labels or all its annotations, those that it has inside, as the kubelet writes them.
	AnnotationVirtualLabels      = "platform.skerry.dev/virtual-labels"
	AnnotationVirtualAnnotations = "platform.skerry.dev/virtual-annotations"
	// AnnotationHostUID, on a virtual object made from a host one, is the UID of that.
	AnnotationHostUID = "platform.skerry.dev/host-uid"
	// AnnotationVirtualScope, on a host Release, is "Cluster" when it was made
	// from a cluster-scoped helm.crossplane.io Release, else absent.
	AnnotationVirtualScope = "platform.skerry.dev/virtual-scope"

	// AnnotationPaused stops reconciliation of the object, as in Crossplane.
	AnnotationPaused = "crossplane.io/paused"
	// AnnotationExternalName is the name outside Kubernetes, as in Crossplane.
	AnnotationExternalName = "crossplane.io/external-name"

	// OwnerVirtual and OwnerHost are the values of LabelOwner.
	OwnerVirtual = "virtual"
	OwnerHost    = "host"
)

// Finalizers. Each is named for the work that must be done before the object may go.
const (
	// FinalizerHost, on a virtual object, holds it until its host object is gone.
	FinalizerHost = "platform.skerry.dev/host"
	// FinalizerControlPlane, on a VirtualCluster, is the pool member's: the
	// control plane has stopped.
	FinalizerControlPlane = "platform.skerry.dev/control-plane"
	// FinalizerRegistration, on a VirtualCluster, is the registration's: the cluster
	// Secret of the GitOps engine is gone.
	FinalizerRegistration = "platform.skerry.dev/registration"
	// FinalizerCleanup, on any kind of this group, is the owning controller's:
	// everything that it made elsewhere is gone.
	FinalizerCleanup = "platform.skerry.dev/cleanup"
)

// Names that do not depend on the tenant.
const (
	// SystemNamespace is where the platform itself runs unless the chart says otherwise.
	SystemNamespace = "skerry-system"
	// TenantServiceAccount is the name, in every home namespace, of the
	// ServiceAccount that the tenant's syncer and its charts act as.
	TenantServiceAccount = "skerry-tenant"
	// DefinitionNamespace is where platform-wide OAM definitions live, on the
	// host and in every virtual cluster, as in KubeVela.
	DefinitionNamespace = "vela-system"
	// DNSService is the name, in every home namespace, of the Service in front
	// of the virtual cluster's DNS.
	DNSService = "dns"
)

// KubeconfigSecret is the name, in the home namespace, of the Secret with the
// administrator's kubeconfig (keys config, certificate-authority,
// client-certificate, client-key).
func KubeconfigSecret(virtualCluster string) string { return "vc-" + virtualCluster }

// ControlPlaneSecret is the name, in the home namespace, of the Secret with
// everything that a pool member needs to serve the virtual cluster: see
// ControlPlaneKeys.
func ControlPlaneSecret(virtualCluster string) string { return virtualCluster + "-control-plane" }

// Keys of the control plane Secret; all values are PEM.
const (
	KeyCACert         = "ca.crt"                 // signs serving and client certificates
	KeyCAKey          = "ca.key"                 //
	KeyServingCert    = "apiserver.crt"          // every name of the contract
	KeyServingKey     = "apiserver.key"          //
	KeyServiceAccount = "service-account.key"    // signs ServiceAccount tokens
	KeyFrontProxyCA   = "front-proxy-ca.crt"     // request-header authentication
	KeyFrontProxyCert = "front-proxy-client.crt" //
	KeyFrontProxyKey  = "front-proxy-client.key" //
	KeyEtcdCA         = "etcd-ca.crt"            // verifies etcd
	KeyEtcdCert       = "etcd-client.crt"        // the tenant's own etcd user
	KeyEtcdKey        = "etcd-client.key"        //
)
