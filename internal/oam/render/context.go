// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// contextOf returns what a template sees as `context`, but for output and outputs:
//
//	name, revision                       of the component; revision is NAME-vN
//	namespace                            that objects without one go to
//	appName, appNamespace                of the Application
//	appRevision, appRevisionNum          NAME-vN and N
//	appLabels, appAnnotations            of the Application
//	cluster                              the cluster's name
//	clusterVersion{major,minor,gitVersion,platform}
//	components[]{name,type,properties}   all of the Application
//	publishVersion, workflowName         for definitions that mention them
func contextOf(in Input, plan *Plan, spec oamv1.ApplicationComponent) map[string]any {
	app, v := in.Application, in.ClusterVersion
	components := make([]any, 0, len(app.Spec.Components))
	for _, c := range app.Spec.Components {
		components = append(components, map[string]any{"name": c.Name, "type": c.Type, "properties": properties(c.Properties)})
	}
	return map[string]any{
		"name": spec.Name, "namespace": plan.Namespace, "revision": fmt.Sprintf("%s-v%d", spec.Name, in.Revision.Revision),
		"appName": app.Name, "appNamespace": app.Namespace,
		"appRevision": in.Revision.Name, "appRevisionNum": in.Revision.Revision,
		"appLabels": orEmpty(app.Labels), "appAnnotations": orEmpty(app.Annotations),
		"cluster":        in.Cluster,
		"clusterVersion": map[string]any{"major": v.Major, "minor": v.Minor, "gitVersion": v.GitVersion, "platform": v.Platform},
		"components":     components,
		"publishVersion": app.Annotations["app.oam.dev/publishVersion"], "workflowName": "",
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// withOutputs returns the context with what has been assembled so far.
func (a *assembly) withOutputs() map[string]any {
	out := maps.Clone(a.context)
	if a.output != nil {
		out["output"] = a.output
	}
	if len(a.outputs) > 0 {
		objects := map[string]any{}
		for _, o := range a.outputs {
			objects[o.key] = o.object
		}
		out["outputs"] = objects
	}
	return out
}

// finish gives the objects their names, namespaces and labels.
func (a *assembly) finish(c *Component) error {
	if a.output != nil {
		o := &unstructured.Unstructured{Object: a.output}
		labels := map[string]string{oamv1.LabelResourceType: oamv1.ResourceTypeWorkload, oamv1.LabelWorkloadType: a.spec.Type}
		if err := a.place(o, a.spec.Name, labels); err != nil {
			return err
		}
		c.Kind = oamv1.WorkloadGVK{APIVersion: o.GetAPIVersion(), Kind: o.GetKind()}
		c.Objects = append(c.Objects, Object{Unstructured: o, Trait: -1})
	}
	for _, k := range a.outputs {
		o := &unstructured.Unstructured{Object: k.object}
		typ := oamv1.TraitTypeAuxiliary
		if k.trait >= 0 {
			typ = c.Traits[k.trait].Type
		}
		labels := map[string]string{oamv1.LabelResourceType: oamv1.ResourceTypeTrait, oamv1.LabelTraitType: typ, oamv1.LabelTraitResource: k.key}
		if err := a.place(o, a.spec.Name+"-"+k.key, labels); err != nil {
			return err
		}
		c.Objects = append(c.Objects, Object{Unstructured: o, Key: k.key, Trait: k.trait})
	}
	return nil
}

func (a *assembly) place(o *unstructured.Unstructured, name string, labels map[string]string) error {
	if o.GetName() == "" {
		o.SetName(name)
	}
	namespaced, err := a.namespaced(o.GroupVersionKind())
	switch {
	case err != nil:
		return &Error{Message: fmt.Sprintf("renders %s, which this cluster does not serve: %v", o.GroupVersionKind(), err), Err: err}
	case !namespaced:
		o.SetNamespace("")
	case o.GetNamespace() == "":
		o.SetNamespace(a.namespace)
	}
	all := orEmpty(o.GetLabels())
	maps.Copy(all, labels)
	maps.Copy(all, map[string]string{
		oamv1.LabelAppName: a.in.Application.Name, oamv1.LabelAppNamespace: a.in.Application.Namespace,
		oamv1.LabelAppComponent: a.spec.Name, oamv1.LabelAppRevision: a.in.Revision.Name,
	})
	o.SetLabels(all)
	return nil
}

func (a *assembly) namespaced(gvk schema.GroupVersionKind) (bool, error) {
	if a.in.Namespaced != nil {
		return a.in.Namespaced(gvk)
	}
	return !clusterScoped[gvk.GroupKind()], nil
}

// clusterScoped are the kinds that a render without a cluster knows to be in no namespace.
var clusterScoped = func() map[schema.GroupKind]bool {
	out := map[schema.GroupKind]bool{}
	for _, s := range strings.Fields(`
		Namespace PersistentVolume Node ClusterRole.rbac.authorization.k8s.io ClusterRoleBinding.rbac.authorization.k8s.io
		CustomResourceDefinition.apiextensions.k8s.io StorageClass.storage.k8s.io IngressClass.networking.k8s.io
		PriorityClass.scheduling.k8s.io RuntimeClass.node.k8s.io APIService.apiregistration.k8s.io
		ValidatingWebhookConfiguration.admissionregistration.k8s.io MutatingWebhookConfiguration.admissionregistration.k8s.io
		Release.helm.crossplane.io ProviderConfig.helm.crossplane.io ClusterProviderConfig.helm.m.crossplane.io
		ResourceTracker.core.oam.dev`) {
		out[schema.ParseGroupKind(s)] = true
	}
	return out
}()

// resourceName is RESOURCE.GROUP of a kind, as appliesToWorkloads names it.
func resourceName(gvk schema.GroupVersionKind) string {
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	if gvk.Group == "" {
		return plural.Resource
	}
	return plural.Resource + "." + gvk.Group
}
