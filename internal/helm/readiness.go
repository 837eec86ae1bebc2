// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// labelInstance is the label by which charts mark the Pods of a release.
const labelInstance = "app.kubernetes.io/instance"

// workloads is how the objects of a revision are.
type workloads struct {
	// Ready is true when all of them are.
	Ready bool
	// Broken is true when one will not become ready without help.
	Broken bool
	// Message is the deepest cause of not being ready.
	Message string
	// Missing names objects that somebody deleted, as "Kind name".
	Missing []string
	// Unwatched is true when the cause is on an object whose changes no watch tells.
	Unwatched bool
	// Subject is the object that Message is about.
	Subject *unstructured.Unstructured
}

// inert kinds are ready as soon as they exist; Helm has just written them, so they are
// not even read.
var inert = map[schema.GroupKind]bool{
	{Kind: "ConfigMap"}:                                              true,
	{Kind: "Secret"}:                                                 true,
	{Kind: "ServiceAccount"}:                                         true,
	{Kind: "LimitRange"}:                                             true,
	{Kind: "ResourceQuota"}:                                          true,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:               true,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:        true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: true,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:              true,
	{Group: "networking.k8s.io", Kind: "Ingress"}:                    true,
}

// passing kinds may be gone by themselves once they have done their work.
var passing = map[schema.GroupKind]bool{
	{Group: "batch", Kind: "Job"}: true,
	{Kind: "Pod"}:                 true,
}

// watched kinds are those of watches.go: their changes lead to a new reading.
var watched = map[schema.GroupKind]bool{
	{Kind: "Service"}:                    true,
	{Kind: "PersistentVolumeClaim"}:      true,
	{Group: "apps", Kind: "Deployment"}:  true,
	{Group: "apps", Kind: "StatefulSet"}: true,
	{Group: "apps", Kind: "DaemonSet"}:   true,
	{Group: "batch", Kind: "Job"}:        true,
}

// readiness reads the objects of a manifest as the tenant. It reads from the API server, not
// from a cache: right after an upgrade a cache would still tell of the old revision.
func (t *tenant) readiness(ctx context.Context, manifest, release string) (workloads, error) {
	objects, err := parseManifest(manifest, t.Namespace)
	if err != nil {
		return workloads{}, err
	}
	w := workloads{Ready: true}
	for _, obj := range objects {
		kind := obj.GroupVersionKind().GroupKind()
		if inert[kind] {
			continue
		}
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(obj.GroupVersionKind())
		err := t.client.Get(ctx, client.ObjectKeyFromObject(obj), live)
		switch {
		case apierrors.IsNotFound(err) && passing[kind]:
		case apierrors.IsNotFound(err):
			w.Missing = append(w.Missing, obj.GetKind()+" "+obj.GetName())
			w.notReady(obj, "it is missing", false)
		case meta.IsNoMatchError(err):
			w.notReady(obj, "its kind is not served here", true)
		case err != nil:
			return workloads{}, fmt.Errorf("reading %s %s: %w", obj.GetKind(), obj.GetName(), err)
		default:
			w.add(live)
		}
	}
	if !w.Ready && len(w.Missing) == 0 {
		return w, t.deepen(ctx, &w, release)
	}
	return w, nil
}

// add counts one object in.
func (w *workloads) add(live *unstructured.Unstructured) {
	result, err := status.Compute(live)
	switch {
	case err != nil:
		w.notReady(live, fmt.Sprintf("its state cannot be read: %v", err), false)
	case result.Status != status.CurrentStatus:
		w.notReady(live, result.Message, result.Status == status.FailedStatus)
	}
}

// notReady keeps the first message, and that of a broken object before any other.
func (w *workloads) notReady(obj *unstructured.Unstructured, message string, broken bool) {
	if w.Ready || (broken && !w.Broken) {
		w.Message, w.Subject = fmt.Sprintf("%s %s: %s", obj.GetKind(), obj.GetName(), message), obj
	}
	w.Ready, w.Broken = false, w.Broken || broken
	w.Unwatched = w.Unwatched || !watched[obj.GroupVersionKind().GroupKind()]
}

// deepen adds to the workload's message what its Pods say, or, when it could make none, the
// warning about that.
func (t *tenant) deepen(ctx context.Context, w *workloads, release string) error {
	var pods corev1.PodList
	if err := t.client.List(ctx, &pods, client.InNamespace(t.Namespace), client.MatchingLabels{labelInstance: release}); err != nil {
		return fmt.Errorf("listing the Pods of release %s: %w", release, err)
	}
	if cause := podsCause(pods.Items); cause.Message != "" {
		w.Message, w.Broken = w.Message+": "+cause.Message, w.Broken || cause.Broken
		return nil
	}
	if len(pods.Items) > 0 {
		return nil
	}
	var events corev1.EventList
	// The events are a bonus: without the right to read them the message stays.
	if err := t.client.List(ctx, &events, client.InNamespace(t.Namespace), client.MatchingFields{
		"involvedObject.kind": w.Subject.GetKind(), "involvedObject.name": w.Subject.GetName(), "type": corev1.EventTypeWarning,
	}); ignoreForbidden(err) != nil {
		return fmt.Errorf("listing the events of %s %s: %w", w.Subject.GetKind(), w.Subject.GetName(), err)
	}
	if warning := newestEvent(events.Items); warning != "" {
		w.Message += ": " + warning
	}
	// No watch tells of events.
	w.Unwatched = true
	return nil
}

// ignoreForbidden drops a denial.
func ignoreForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}

// parseManifest splits what Helm has stored; objects without a namespace are in the
// release's. Cluster-scoped objects keep the namespace, which the client ignores.
func parseManifest(manifest, namespace string) ([]*unstructured.Unstructured, error) {
	docs := releaseutil.SplitManifests(manifest)
	names := keys(docs)
	sortManifests(names)
	var objects []*unstructured.Unstructured
	for _, name := range names {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(docs[name]), &obj.Object); err != nil {
			return nil, fmt.Errorf("reading the stored manifest: %w", err)
		}
		if obj.Object == nil || obj.GetKind() == "" {
			continue
		}
		if obj.GetNamespace() == "" {
			obj.SetNamespace(namespace)
		}
		objects = append(objects, obj)
	}
	return objects, nil
}
