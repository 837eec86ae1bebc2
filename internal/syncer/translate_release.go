// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// releaseTarget is the virtual namespace that a Release installs into.
func releaseTarget(release *unstructured.Unstructured) string {
	if release.GetNamespace() != "" {
		return release.GetNamespace()
	}
	namespace, _, _ := unstructured.NestedString(release.Object, "spec", "forProvider", "namespace")
	return namespace
}

func clusterScoped(release *unstructured.Unstructured) bool { return release.GetNamespace() == "" }

// checkRelease says in words for the user why a virtual Release cannot go to the host; empty when it
// can. References may only point into the namespace that it installs into,
// because on the host they are local.
func checkRelease(release *unstructured.Unstructured) string {
	target := releaseTarget(release)
	if target == "" {
		return "spec.forProvider.namespace is empty: name a namespace of this virtual cluster"
	}
	named, _, _ := unstructured.NestedString(release.Object, "spec", "forProvider", "namespace")
	if !clusterScoped(release) && named != "" && named != target {
		return fmt.Sprintf("spec.forProvider.namespace is %q, but a namespaced Release installs only into its own namespace %q: leave the field out, or create the Release in %q",
			named, target, named)
	}
	var problem string
	eachReference(release, func(ref reference) {
		if problem == "" && ref.namespace != "" && ref.namespace != target {
			problem = fmt.Sprintf("%s names %q in namespace %q, but this Release installs into %q and may read only there: copy it to %q",
				ref.field, ref.name, ref.namespace, target, target)
		}
	})
	return problem
}

// hostRelease is the namespaced Release to write on the host for a virtual Release of either
// kind. Its ProviderConfig is the platform's.
func (t translator) hostRelease(virtual *unstructured.Unstructured) *unstructured.Unstructured {
	release := &unstructured.Unstructured{Object: map[string]any{}}
	release.SetGroupVersionKind(namespacedReleaseKind)
	release.SetName(virtual.GetName())
	release.SetNamespace(t.hostNamespace(releaseTarget(virtual)))
	release.SetLabels(t.hostLabels(virtual))
	annotations := hostAnnotations(virtual)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	if clusterScoped(virtual) {
		annotations[platformv1alpha1.AnnotationVirtualScope] = "Cluster"
	}

	if spec, found := virtual.DeepCopy().Object["spec"].(map[string]any); found {
		delete(spec, "providerConfigRef")
		delete(spec, "publishConnectionDetailsTo")
		if forProvider, isMap := spec["forProvider"].(map[string]any); isMap {
			forProvider["namespace"] = release.GetNamespace()
		}
		if ref, isMap := spec["writeConnectionSecretToRef"].(map[string]any); isMap {
			delete(ref, "namespace")
		}
		release.Object["spec"] = spec
		keepOrphan(spec)
		walkReferences(release, func(_ string, ref map[string]any) { delete(ref, "namespace") })
	}
	annotations[annotationHash] = hashOf(release.Object["spec"])
	release.SetAnnotations(annotations)
	return release
}

// keepOrphan says deletionPolicy Orphan, which namespaced Releases no longer have, in their words:
// managementPolicies without Delete.
func keepOrphan(spec map[string]any) {
	if spec["deletionPolicy"] != "Orphan" {
		return
	}
	policies, _, _ := unstructured.NestedStringSlice(spec, "managementPolicies")
	if len(policies) == 0 || (len(policies) == 1 && policies[0] == "*") {
		spec["managementPolicies"] = []any{"Observe", "Create", "Update", "LateInitialize"}
	}
}

// hashOf is the SHA-256, in 16 hexadecimal digits, of a value's JSON.
func hashOf(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])[:16]
}

// mergeRelease brings a host Release to what is wanted; true when anything changes.
func mergeRelease(host, wanted *unstructured.Unstructured) bool {
	before := host.DeepCopy()
	mergeMeta(host, wanted.GetLabels(), wanted.GetAnnotations())
	if host.GetAnnotations()[annotationHash] != before.GetAnnotations()[annotationHash] {
		host.Object["spec"] = wanted.DeepCopy().Object["spec"]
		return true
	}
	return !equalMeta(before, host)
}

// virtualReleaseStatus is the host Release's whole status as the virtual one's, nil when it has none.
func virtualReleaseStatus(virtual, host *unstructured.Unstructured) map[string]any {
	status, found := host.DeepCopy().Object["status"].(map[string]any)
	if !found {
		return nil
	}
	adapt := func(of map[string]any) {
		if observed, set := of["observedGeneration"].(int64); set {
			of["observedGeneration"] = virtualGeneration(observed, host.GetGeneration(), virtual.GetGeneration())
		}
	}
	adapt(status)
	conditions, _ := status["conditions"].([]any)
	for _, condition := range conditions {
		if fields, isMap := condition.(map[string]any); isMap {
			adapt(fields)
		}
	}
	return status
}

// refuseRelease writes Synced=False into a virtual Release's status; true when that is news.
func refuseRelease(release *unstructured.Unstructured, message string, now metav1.Time) bool {
	status, _ := release.Object["status"].(map[string]any)
	if status == nil {
		status = map[string]any{}
	}
	wanted := map[string]any{
		"type": platformv1alpha1.ConditionSynced, "status": "False",
		"reason": platformv1alpha1.ReasonReconcileError, "message": message,
		"lastTransitionTime": now.UTC().Format("2006-01-02T15:04:05Z"),
	}
	conditions, _ := status["conditions"].([]any)
	for i, condition := range conditions {
		have, isMap := condition.(map[string]any)
		if !isMap || have["type"] != platformv1alpha1.ConditionSynced {
			continue
		}
		if have["status"] == "False" && have["message"] == message {
			return false
		}
		if have["status"] == "False" {
			wanted["lastTransitionTime"] = have["lastTransitionTime"]
		}
		conditions[i] = wanted
		release.Object["status"] = status
		return true
	}
	status["conditions"] = append(conditions, wanted)
	release.Object["status"] = status
	return true
}

// reference is one place in a Release that names a ConfigMap or a Secret.
type reference struct {
	field           string // as a person writes the path
	secret          bool
	name, namespace string // namespace is empty when the reference does not say
}

// eachReference visits the typed references of a Release.
func eachReference(release *unstructured.Unstructured, visit func(reference)) {
	walkReferences(release, func(field string, ref map[string]any) {
		name, _ := ref["name"].(string)
		namespace, _ := ref["namespace"].(string)
		if name != "" {
			visit(reference{field: field, secret: !strings.Contains(field, "configMapKeyRef"), name: name, namespace: namespace})
		}
	})
}

// walkReferences visits, as they are in the object: chart.pullSecretRef, valuesFrom, and set's valueFrom.
func walkReferences(release *unstructured.Unstructured, visit func(field string, ref map[string]any)) {
	forProvider, found, _ := unstructured.NestedFieldNoCopy(release.Object, "spec", "forProvider")
	fields, isMap := forProvider.(map[string]any)
	if !found || !isMap {
		return
	}
	if chart, isMap := fields["chart"].(map[string]any); isMap {
		if ref, isMap := chart["pullSecretRef"].(map[string]any); isMap {
			visit("spec.forProvider.chart.pullSecretRef", ref)
		}
	}
	sources := func(field string, from map[string]any) {
		for _, key := range []string{"configMapKeyRef", "secretKeyRef"} {
			if ref, isMap := from[key].(map[string]any); isMap {
				visit(field+"."+key, ref)
			}
		}
	}
	list := func(field string, inner string) {
		items, _ := fields[field].([]any)
		for i, item := range items {
			from, isMap := item.(map[string]any)
			if isMap && inner != "" {
				from, isMap = from[inner].(map[string]any)
			}
			if isMap {
				sources(fmt.Sprintf("spec.forProvider.%s[%d]", field, i), from)
			}
		}
	}
	list("valuesFrom", "")
	list("set", "valueFrom")
	list("patchesFrom", "")
}

// releaseReferences are the names that a Release uses: its typed references,
// and in its values every text under a key that ends like a chart's way to name an existing
// object (existingSecret, secretName, existingConfigmap, ...). The latter are only
// candidates: what does not exist is not synced.
func releaseReferences(release *unstructured.Unstructured) references {
	refs := newReferences()
	eachReference(release, func(ref reference) {
		if ref.secret {
			refs.addSecret(ref.name)
		} else {
			refs.addConfigMap(ref.name)
		}
	})
	values, _, _ := unstructured.NestedFieldNoCopy(release.Object, "spec", "forProvider", "values")
	refs.addValues("", values)
	return refs
}

func (r references) addValues(key string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for inner, of := range value {
			if inner == "name" { // as in imagePullSecrets: [{name: x}]
				inner = key
			}
			r.addValues(inner, of)
		}
	case []any:
		for _, inner := range value {
			r.addValues(key, inner)
		}
	case string:
		key = strings.ToLower(strings.TrimSuffix(key, "Name"))
		if strings.HasSuffix(key, "secret") || strings.HasSuffix(key, "secrets") {
			r.addSecret(value)
		}
		if strings.HasSuffix(key, "configmap") || strings.HasSuffix(key, "configmaps") {
			r.addConfigMap(value)
		}
	}
}
