// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"strings"

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
		case apierrors.IsNotFound(err):
			w.Missing = append(w.Missing, obj.GetKind()+" "+obj.GetName())
			w.notReady(obj.GetKind()+" "+obj.GetName()+" is missing", false, watched[kind])
		case meta.IsNoMatchError(err):
			w.notReady(fmt.Sprintf("kind %s is not served here", kind), true, false)
		case err != nil:
			return workloads{}, fmt.Errorf("reading %s %s: %w", obj.GetKind(), obj.GetName(), err)
		default:
			w.add(live, watched[kind])
		}
	}
	if !w.Ready && len(w.Missing) == 0 {
		return w, t.deepen(ctx, &w, release)
	}
	return w, nil
}

// add counts one object in.
func (w *workloads) add(live *unstructured.Unstructured, isWatched bool) {
	result, err := status.Compute(live)
	if err != nil {
		w.notReady(fmt.Sprintf("%s %s: its state cannot be read: %v", live.GetKind(), live.GetName(), err), false, isWatched)
		return
	}
	if result.Status == status.CurrentStatus {
		return
	}
	w.notReady(fmt.Sprintf("%s %s: %s", live.GetKind(), live.GetName(), result.Message), result.Status == status.FailedStatus, isWatched)
}

// notReady keeps the first message, and that of a broken object before any other.
func (w *workloads) notReady(message string, broken, isWatched bool) {
	if w.Ready || (broken && !w.Broken) {
		w.Message = message
	}
	w.Ready, w.Broken, w.Unwatched = false, w.Broken || broken, w.Unwatched || !isWatched
}

// deepen replaces the workload's message by what its Pods say, or, when it could make
// none, by the warning about that.
func (t *tenant) deepen(ctx context.Context, w *workloads, release string) error {
	var pods corev1.PodList
	if err := t.client.List(ctx, &pods, client.InNamespace(t.Namespace), client.MatchingLabels{labelInstance: release}); err != nil {
		return fmt.Errorf("listing the Pods of release %s: %w", release, err)
	}
	if cause := podsCause(pods.Items); cause.Message != "" {
		w.Message, w.Broken = w.Message+": "+cause.Message, w.Broken || cause.Broken
		return nil
	}
	kind, rest, _ := strings.Cut(w.Message, " ")
	name, _, _ := strings.Cut(rest, ":")
	var events corev1.EventList
	// The events are a bonus: without the right to read them the message stays.
	if err := t.client.List(ctx, &events, client.InNamespace(t.Namespace), client.MatchingFields{
		"involvedObject.kind": kind, "involvedObject.name": name, "type": corev1.EventTypeWarning,
	}); err != nil {
		return client.IgnoreNotFound(ignoreForbidden(err))
	}
	if warning := newestEvent(events.Items); warning != "" && len(pods.Items) == 0 {
		w.Message, w.Unwatched = w.Message+": "+warning, true
	}
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
