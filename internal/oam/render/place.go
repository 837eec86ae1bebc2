// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// place makes a component of what its templates made.
func (in Input) place(plan *Plan, spec oamv1.ApplicationComponent, a assembled) (*Component, error) {
	def, d, err := in.Definitions.component(spec.Type)
	if err != nil {
		return nil, blame(err, spec.Name, "")
	}
	out := &Component{
		Name: spec.Name, Type: spec.Type, DependsOn: spec.DependsOn, Namespace: plan.Namespace,
		status: def.Spec.Status, definition: d, context: contextOf(in, plan, spec), parameters: a.Parameters,
	}
	if def.Spec.Workload.Definition != nil {
		out.Kind = *def.Spec.Workload.Definition
	}
	for i, trait := range spec.Traits {
		def, d, err := in.Definitions.trait(trait.Type)
		if err != nil {
			return nil, blame(err, spec.Name, trait.Type)
		}
		out.Traits = append(out.Traits, Trait{Type: trait.Type, status: def.Spec.Status, definition: d, parameters: a.Traits[i]})
	}
	if err := in.finish(out, a); err != nil {
		return nil, blame(err, spec.Name, "")
	}
	return out, nil
}

// finish gives the objects their names, namespaces and labels.
func (in Input) finish(c *Component, a assembled) error {
	if a.Output != nil {
		o := &unstructured.Unstructured{Object: a.Output}
		labels := map[string]string{oamv1.LabelResourceType: oamv1.ResourceTypeWorkload, oamv1.LabelWorkloadType: labelValue(c.Type)}
		if err := in.label(c, o, c.Name, labels); err != nil {
			return err
		}
		c.Kind = oamv1.WorkloadGVK{APIVersion: o.GetAPIVersion(), Kind: o.GetKind()}
		c.Objects = append(c.Objects, Object{Unstructured: o, Trait: -1})
	}
	for _, k := range a.Outputs {
		o := &unstructured.Unstructured{Object: k.Object}
		typ := oamv1.TraitTypeAuxiliary
		if k.Trait >= 0 {
			typ = c.Traits[k.Trait].Type
		}
		labels := map[string]string{oamv1.LabelResourceType: oamv1.ResourceTypeTrait, oamv1.LabelTraitType: labelValue(typ), oamv1.LabelTraitResource: labelValue(k.Key)}
		if err := in.label(c, o, c.Name+"-"+k.Key, labels); err != nil {
			return err
		}
		c.Objects = append(c.Objects, Object{Unstructured: o, Key: k.Key, Trait: k.Trait})
	}
	return nil
}

func (in Input) label(c *Component, o *unstructured.Unstructured, name string, labels map[string]string) error {
	if o.GetName() == "" {
		o.SetName(name)
	}
	namespaced, err := in.namespaced(o.GroupVersionKind())
	switch {
	case err != nil:
		return &Error{Message: fmt.Sprintf("renders %s, which this cluster does not serve: %v", o.GroupVersionKind(), err), Err: err}
	case !namespaced:
		o.SetNamespace("")
	case o.GetNamespace() == "":
		o.SetNamespace(c.Namespace)
	}
	all := orEmpty(o.GetLabels())
	maps.Copy(all, labels)
	maps.Copy(all, map[string]string{
		oamv1.LabelAppName: in.Application.Name, oamv1.LabelAppNamespace: in.Application.Namespace,
		oamv1.LabelAppComponent: c.Name, oamv1.LabelAppRevision: in.Revision.Name,
	})
	o.SetLabels(all)
	return nil
}

// labelValue is text as a label's value: as it is when it can be one, else what is left of
// it with a hash.
func labelValue(text string) string {
	if len(validation.IsValidLabelValue(text)) == 0 {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	kept := strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '-'
	}, text)
	return strings.TrimLeft(kept[:min(len(kept), 46)]+"-"+hex.EncodeToString(sum[:8]), "-")
}

func (in Input) namespaced(gvk schema.GroupVersionKind) (bool, error) {
	if in.Namespaced != nil {
		return in.Namespaced(gvk)
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
