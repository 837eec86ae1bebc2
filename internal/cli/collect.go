// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/cli/tunnel"
)

// labelComponent, in a virtual cluster, names the OAM component that an object belongs to;
// labelRelease, on the host, the Helm release.
const (
	labelComponent = "app.oam.dev/component"
	labelRelease   = "app.kubernetes.io/instance"
	argoNamespace  = "argocd"
)

// Kinds that the tree has, as GROUP/VERSION/KIND.
var (
	kindRepository      = v1alpha1.GroupVersion.WithKind("Repository")
	kindEnvironment     = v1alpha1.GroupVersion.WithKind("VClusterEnvironmentClaim")
	kindVirtualCluster  = v1alpha1.GroupVersion.WithKind("VirtualCluster")
	kindClaim           = v1alpha1.GroupVersion.WithKind("ApplicationClaim")
	kindDelivery        = schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"}
	kindApplication     = schema.GroupVersionKind{Group: "core.oam.dev", Version: "v1beta1", Kind: "Application"}
	kindClusterRelease  = schema.GroupVersionKind{Group: "helm.crossplane.io", Version: "v1beta1", Kind: "Release"}
	kindRelease         = schema.GroupVersionKind{Group: "helm.m.crossplane.io", Version: "v1beta1", Kind: "Release"}
	kindDeployment      = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	kindStatefulSet     = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"}
	kindPod             = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	kindService         = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	kindSecret          = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	kindNamespace       = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
	workloadsAndService = []schema.GroupVersionKind{kindDeployment, kindStatefulSet, kindService}
)

// collector reads what a claim made, on both sides.
type collector struct {
	ctx     context.Context
	claim   *v1alpha1.ApplicationClaim
	cluster string
	host    client.Reader
	// virtual is nil when the virtual cluster cannot be reached; why says why.
	virtual client.Reader
	why     error
	close   func()
}

// newCollector opens the way into the virtual cluster, as far as there is one.
func newCollector(ctx context.Context, h *host, claim *v1alpha1.ApplicationClaim) *collector {
	c := &collector{ctx: ctx, claim: claim, cluster: request.Target(claim.Spec), host: h.client, close: func() {}}
	t, err := tunnel.Open(ctx, h.tunnelHost(), c.cluster)
	if err != nil {
		c.why = err
		return c
	}
	c.close = t.Close
	virtual, err := client.New(t.AdminConfig(), client.Options{})
	if err != nil {
		c.why = err
		return c
	}
	c.virtual = virtual
	return c
}

// read returns the object, nil when there is none.
func read(ctx context.Context, c client.Reader, gvk schema.GroupVersionKind, namespace, name string) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(gvk)
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
	if client.IgnoreNotFound(err) == nil && err != nil || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s/%s: %w", gvk.Kind, namespace, name, err)
	}
	return o, nil
}

// list returns the objects, none when the kind is not served.
func list(ctx context.Context, c client.Reader, gvk schema.GroupVersionKind, opts ...client.ListOption) ([]unstructured.Unstructured, error) {
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	err := c.List(ctx, l, opts...)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing %ss: %w", gvk.Kind, err)
	}
	return l.Items, nil
}

// nodeOf is one object as a node.
func nodeOf(where string, o *unstructured.Unstructured) *node {
	v := judge(o)
	return &node{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Where: where, State: v.state, Message: v.message, silent: v.silent}
}

// fetch reads an object that should be there.
func (c *collector) fetch(where string, gvk schema.GroupVersionKind, namespace, name string) *node {
	n := &node{Kind: gvk.Kind, Namespace: namespace, Name: name, Where: where, State: stateMissing, Message: "is not there"}
	reader := c.host
	if where == "virtual" {
		reader = c.virtual
	}
	o, err := read(c.ctx, reader, gvk, namespace, name)
	switch {
	case err != nil:
		n.State, n.Message = stateFailed, err.Error()
	case o != nil:
		return nodeOf(where, o)
	}
	return n
}

// fetchAll lists objects as nodes; an error becomes a node, so that the rest of the tree is still seen.
func (c *collector) fetchAll(where string, gvk schema.GroupVersionKind, namespace string, fits func(*unstructured.Unstructured) bool) []*node {
	reader := c.host
	if where == "virtual" {
		reader = c.virtual
	}
	items, err := list(c.ctx, reader, gvk, client.InNamespace(namespace))
	if err != nil {
		return []*node{{Kind: gvk.Kind, Namespace: namespace, Name: "*", Where: where, State: stateFailed, Message: err.Error()}}
	}
	var out []*node
	for i := range items {
		if fits(&items[i]) {
			out = append(out, nodeOf(where, &items[i]))
		}
	}
	return out
}

// tree is the whole: claim -> repositories, environment, delivery.
func (c *collector) tree() *node {
	claim, target := c.claim, c.cluster
	root := c.fetch("host", kindClaim, claim.Namespace, claim.Name)
	environment := c.fetch("host", kindEnvironment, claim.Namespace, target)
	cluster := c.fetch("host", kindVirtualCluster, "", target)
	if c.virtual == nil && cluster.State == stateOK {
		cluster.State, cluster.Message = stateFailed, c.why.Error()
	}
	if vc, err := read(c.ctx, c.host, kindVirtualCluster, "", target); err == nil && vc != nil {
		if member, _, _ := unstructured.NestedString(vc.Object, "status", "member"); member != "" {
			cluster.Children = append(cluster.Children, c.fetch("host", kindPod, v1alpha1.SystemNamespace, member))
		}
	}
	environment.Children = []*node{cluster}
	delivery := c.fetch("host", kindDelivery, argoNamespace, request.Delivery(claim.Spec.Name))
	if c.virtual != nil && delivery.State != stateMissing {
		delivery.Children = []*node{c.application()}
	}
	root.Children = []*node{
		c.fetch("host", kindRepository, claim.Namespace, request.SourceRepository(claim.Spec.Name)),
		c.fetch("host", kindRepository, claim.Namespace, request.GitOpsRepository(claim.Spec.Name)),
		environment, delivery,
	}
	return root
}

// application is the OAM Application with its components.
func (c *collector) application() *node {
	o, err := read(c.ctx, c.virtual, kindApplication, request.ApplicationNamespace, c.claim.Spec.Name)
	if err != nil || o == nil {
		return c.fetch("virtual", kindApplication, request.ApplicationNamespace, c.claim.Spec.Name)
	}
	n := nodeOf("virtual", o)
	components, _, _ := unstructured.NestedSlice(o.Object, "spec", "components")
	services, _, _ := unstructured.NestedSlice(o.Object, "status", "services")
	for _, item := range components {
		m, _ := item.(map[string]any)
		name, _ := m["name"].(string)
		typ, _ := m["type"].(string)
		component := &node{Kind: "Component", Name: fmt.Sprintf("%s [%s]", name, typ), Where: "virtual", State: stateWorking, Message: "is not applied yet"}
		for _, s := range services {
			if status, _ := s.(map[string]any); status["name"] == name {
				component.Message, _ = status["message"].(string)
				if healthy, _ := status["healthy"].(bool); healthy {
					component.State, component.Message = stateOK, ""
				}
			}
		}
		component.Children = c.component(name)
		n.Children = append(n.Children, component)
	}
	return n
}

// component lists what a component made in the virtual cluster.
func (c *collector) component(name string) []*node {
	belongs := func(o *unstructured.Unstructured) bool { return o.GetLabels()[labelComponent] == name }
	var out []*node
	for _, gvk := range []schema.GroupVersionKind{kindRelease, kindClusterRelease} {
		namespace := request.ApplicationNamespace
		if gvk == kindClusterRelease {
			namespace = ""
		}
		for _, release := range c.fetchAll("virtual", gvk, namespace, belongs) {
			release.Children = []*node{c.hostRelease(release.Name)}
			out = append(out, release)
		}
	}
	for _, gvk := range workloadsAndService {
		out = append(out, c.fetchAll("virtual", gvk, request.ApplicationNamespace, belongs)...)
	}
	for _, pod := range c.fetchAll("virtual", kindPod, request.ApplicationNamespace, belongs) {
		pod.Children = []*node{c.fetch("host", kindPod, c.hostNamespace(), pod.Name)}
		under := out
		for _, n := range out {
			if (n.Kind == "Deployment" || n.Kind == "StatefulSet") && strings.HasPrefix(pod.Name, n.Name+"-") {
				n.Children = append(n.Children, pod)
				under = nil
				break
			}
		}
		if under != nil || len(out) == 0 {
			out = append(out, pod)
		}
	}
	return out
}

func (c *collector) hostNamespace() string {
	return v1alpha1.HostNamespace(c.cluster, request.ApplicationNamespace)
}

// hostRelease is the Release on the host with the workloads that its chart made there.
func (c *collector) hostRelease(name string) *node {
	release := c.fetch("host", kindRelease, c.hostNamespace(), name)
	belongs := func(o *unstructured.Unstructured) bool { return o.GetLabels()[labelRelease] == name }
	for _, gvk := range workloadsAndService {
		release.Children = append(release.Children, c.fetchAll("host", gvk, c.hostNamespace(), belongs)...)
	}
	for _, pod := range c.fetchAll("host", kindPod, c.hostNamespace(), belongs) {
		at := release
		for _, n := range release.Children {
			if n.Kind == "StatefulSet" && strings.HasPrefix(pod.Name, n.Name+"-") {
				at = n
			}
		}
		at.Children = append(at.Children, pod)
	}
	return release
}
