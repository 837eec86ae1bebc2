// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// fieldManager owns what charts apply. The SDK's default is the name of the running program, so
// that `skerry` and `kubectl-skerry` would each own what the other had applied.
const fieldManager = "helm"

func init() { kube.ManagedFieldsManager = fieldManager }

// autoscaler is the field manager of the HorizontalPodAutoscaler controller, which writes replicas
// through the subresource scale.
const autoscaler = "kube-controller-manager"

// drift is one object that is not as the release's revision has it.
type drift struct {
	object *unstructured.Unstructured
	// what happened to it, with the first field that differs and never its value.
	what string
}

// drifted compares the objects of a manifest with the live ones, as the tenant: each is applied without
// writing (server-side apply, dry run), so that defaults and other owners' fields are no difference. What
// may go by itself, and what the API server does not let be compared, is left out.
func (t *tenant) drifted(ctx context.Context, manifest, release string) ([]drift, error) {
	objects, err := parseManifest(manifest, t.Namespace)
	if err != nil {
		return nil, err
	}
	var found []drift
	for _, obj := range objects {
		if passing[obj.GroupVersionKind().GroupKind()] || obj.GetName() == "" {
			continue
		}
		own(obj, release, t.Namespace)
		what, err := t.compare(ctx, obj)
		switch {
		case err == nil:
		case meta.IsNoMatchError(err), apierrors.IsInvalid(err), apierrors.IsForbidden(err):
			log.FromContext(ctx).V(1).Info("cannot compare an object with its chart", "kind", obj.GetKind(), "name", obj.GetName(), "reason", err.Error())
			continue
		default:
			return nil, fmt.Errorf("comparing %s %s with its chart: %w", obj.GetKind(), obj.GetName(), err)
		}
		if what != "" {
			found = append(found, drift{object: obj, what: fmt.Sprintf("%s %s: %s", obj.GetKind(), obj.GetName(), what)})
		}
	}
	return found, nil
}

// compare says how the live object differs; empty when it does not. Replicas that an autoscaler has set are
// taken out of obj.
func (t *tenant) compare(ctx context.Context, obj *unstructured.Unstructured) (string, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(obj.GroupVersionKind())
	err := t.client.Get(ctx, client.ObjectKeyFromObject(obj), live)
	if apierrors.IsNotFound(err) {
		return "it was deleted", nil
	}
	if err != nil {
		return "", err
	}
	if isAutoscaled(live) {
		unstructured.RemoveNestedField(obj.Object, "spec", "replicas")
	}
	if live.GetDeletionTimestamp() != nil {
		return "", nil // it cannot be put back before it is gone; then a watch tells
	}
	tried := obj.DeepCopy()
	err = t.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(tried), client.DryRunAll, client.FieldOwner(fieldManager), client.ForceOwnership)
	if err != nil {
		return "", err
	}
	if field := differing(essence(live), essence(tried), ""); field != "" {
		return "somebody changed " + field, nil
	}
	return "", nil
}

// own marks an object as Helm does, so that applying it again takes no mark away.
func own(obj *unstructured.Unstructured, release, namespace string) {
	labels, annotations := obj.GetLabels(), obj.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[labelManagedBy] = "Helm"
	annotations[annotationReleaseName], annotations[annotationReleaseNamespace] = release, namespace
	obj.SetLabels(labels)
	obj.SetAnnotations(annotations)
}

func isAutoscaled(live *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Subresource == "scale" && e.Manager == autoscaler
	})
}

// essence leaves out what the server keeps for itself.
func essence(o *unstructured.Unstructured) map[string]any {
	out := o.DeepCopy().Object
	delete(out, "status")
	if m, ok := out["metadata"].(map[string]any); ok {
		out["metadata"] = map[string]any{"labels": m["labels"], "annotations": m["annotations"]}
	}
	return out
}

// differing names the first field in which two values differ, in the order of names; empty when there is
// none. Lists are one field.
func differing(a, b any, path string) string {
	x, okX := a.(map[string]any)
	y, okY := b.(map[string]any)
	if !okX || !okY {
		if equality.Semantic.DeepEqual(a, b) {
			return ""
		}
		return strings.TrimPrefix(path, ".")
	}
	names := keys(x)
	for name := range y {
		if _, both := x[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if field := differing(x[name], y[name], path+"."+name); field != "" {
			return field
		}
	}
	return ""
}

// repair puts back what drifted, from the manifest that Helm has stored: no new revision, and no chart
// is needed.
type repair struct {
	*job
	drift []drift
}

func (r *repair) perform(ctx context.Context) error {
	for _, d := range r.drift {
		err := r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(d.object.DeepCopy()), client.FieldOwner(fieldManager), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("putting back %s %s: %w", d.object.GetKind(), d.object.GetName(), err)
		}
	}
	return nil
}
