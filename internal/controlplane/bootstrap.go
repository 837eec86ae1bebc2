// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	applydiscovery "k8s.io/client-go/applyconfigurations/discovery/v1"
	applyrbac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/client-go/kubernetes"
	rbacclient "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/yaml"
)

// Users and groups of the platform in a virtual cluster.
const (
	// AdminGroup is the organization in the administrator's client certificate. It
	// may do everything.
	AdminGroup = "skerry:admins"
	// SyncerUser is the syncer; it may do everything. It lives in the same process as the API server, so
	// a smaller role would protect nothing.
	SyncerUser = "skerry:syncer"
	// DNSUser may read what DNS serves.
	DNSUser = "skerry:dns"

	fieldManager = "skerry-control-plane"
)

// bootstrap applies what every virtual cluster has beside Kubernetes' own objects, and
// a template has too. It returns when the CRDs are served.
func (cp *ControlPlane) bootstrap(ctx context.Context) error {
	config := cp.RESTConfig()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if err := applyRoles(ctx, client.RbacV1()); err != nil {
		return err
	}
	config.ContentType = runtime.ContentTypeJSON // CRDs have no protobuf form
	crdClient, err := apiextensions.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for CRDs: %w", err)
	}
	return applyCRDs(ctx, crdClient.CustomResourceDefinitions(), cp.cfg.CRDs)
}

// applyKubernetesEndpoint gives Service default/kubernetes its endpoint, as a real API
// server's own reconciler would. It is the Service's address on the host: that stays when
// the control plane moves to another pool member, which the member's own address does not.
// The Service's cluster IP is the same address, so connections do not come through here;
// but DNS and whoever looks expect an endpoint.
func (cp *ControlPlane) applyKubernetesEndpoint(ctx context.Context) error {
	ip := cp.cfg.KubernetesServiceIP
	if ip == nil {
		return nil
	}
	client, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	ns := applycore.Namespace(metav1.NamespaceDefault) // made by the API server too, a moment later perhaps
	if _, err := client.CoreV1().Namespaces().Apply(ctx, ns, options); err != nil {
		return fmt.Errorf("applying Namespace default: %w", err)
	}
	family := discoveryv1.AddressTypeIPv4
	if ip.To4() == nil {
		family = discoveryv1.AddressTypeIPv6
	}
	slice := applydiscovery.EndpointSlice("kubernetes", metav1.NamespaceDefault).
		WithLabels(map[string]string{discoveryv1.LabelServiceName: "kubernetes", discoveryv1.LabelManagedBy: fieldManager}).
		WithAddressType(family).
		WithEndpoints(applydiscovery.Endpoint().WithAddresses(ip.String()).WithConditions(applydiscovery.EndpointConditions().WithReady(true))).
		WithPorts(applydiscovery.EndpointPort().WithName("https").WithPort(443).WithProtocol(corev1.ProtocolTCP))
	if _, err := client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).Apply(ctx, slice, options); err != nil {
		return fmt.Errorf("applying EndpointSlice default/kubernetes: %w", err)
	}
	return nil
}

// applyRoles grants the platform's users their rights.
func applyRoles(ctx context.Context, client rbacclient.RbacV1Interface) error {
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	dns := applyrbac.ClusterRole(DNSUser).WithRules(
		applyrbac.PolicyRule().WithAPIGroups("").WithResources("services", "pods", "namespaces").WithVerbs("list", "watch"),
		applyrbac.PolicyRule().WithAPIGroups(discoveryv1.GroupName).WithResources("endpointslices").WithVerbs("list", "watch"))
	if _, err := client.ClusterRoles().Apply(ctx, dns, options); err != nil {
		return fmt.Errorf("applying ClusterRole %s: %w", DNSUser, err)
	}
	for _, binding := range []*applyrbac.ClusterRoleBindingApplyConfiguration{
		bind("skerry:administrators", "cluster-admin", rbacv1.GroupKind, AdminGroup),
		bind(SyncerUser, "cluster-admin", rbacv1.UserKind, SyncerUser),
		bind(DNSUser, DNSUser, rbacv1.UserKind, DNSUser),
	} {
		if _, err := client.ClusterRoleBindings().Apply(ctx, binding, options); err != nil {
			return fmt.Errorf("applying ClusterRoleBinding %s: %w", *binding.Name, err)
		}
	}
	return nil
}

func bind(name, role, kind, subject string) *applyrbac.ClusterRoleBindingApplyConfiguration {
	return applyrbac.ClusterRoleBinding(name).
		WithRoleRef(applyrbac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName(role)).
		WithSubjects(applyrbac.Subject().WithAPIGroup(rbacv1.GroupName).WithKind(kind).WithName(subject))
}

// applyCRDs applies them side by side and returns when all are served.
func applyCRDs(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, docs [][]byte) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	applied := make([]*apiextensionsv1.CustomResourceDefinition, len(docs))
	for i, doc := range docs {
		group.Go(func() (err error) {
			applied[i], err = applyCRD(gctx, client, doc)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	waiting := map[string]bool{}
	for _, crd := range applied {
		if !established(crd) {
			waiting[crd.Name] = true
		}
	}
	return waitEstablished(ctx, client, waiting)
}

func applyCRD(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, doc []byte) (*apiextensionsv1.CustomResourceDefinition, error) {
	patch, err := yaml.YAMLToJSON(doc)
	if err != nil {
		return nil, fmt.Errorf("parsing an embedded CRD: %w", err)
	}
	var named metav1.PartialObjectMetadata
	if err := json.Unmarshal(patch, &named); err != nil {
		return nil, fmt.Errorf("parsing an embedded CRD: %w", err)
	}
	crd, err := client.Patch(ctx, named.Name, types.ApplyPatchType, patch, metav1.PatchOptions{FieldManager: fieldManager, Force: new(true)})
	if err != nil {
		return nil, fmt.Errorf("applying CRD %s: %w", named.Name, err)
	}
	return crd, nil
}

func waitEstablished(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, waiting map[string]bool) error {
	if len(waiting) == 0 {
		return nil
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, o)
		},
	}
	_, err := watchtools.UntilWithSync(ctx, lw, &apiextensionsv1.CustomResourceDefinition{}, nil, func(e watch.Event) (bool, error) {
		crd, ok := e.Object.(*apiextensionsv1.CustomResourceDefinition)
		if ok && established(crd) {
			delete(waiting, crd.Name)
		}
		return len(waiting) == 0, nil
	})
	if err != nil {
		names := slices.Sorted(maps.Keys(waiting))
		return fmt.Errorf("waiting for CRDs %v to be served: %w", names, err)
	}
	return nil
}

func established(crd *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
			return true
		}
	}
	return false
}
