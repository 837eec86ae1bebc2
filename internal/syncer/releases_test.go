// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func simpleRelease(kind schema.GroupVersionKind, namespace, name, target string) *unstructured.Unstructured {
	release := untyped(kind)
	release.SetNamespace(namespace)
	release.SetName(name)
	forProvider := map[string]any{
		"chart":  map[string]any{"name": "postgresql", "repository": "https://example.com/charts", "version": "1.0.0"},
		"values": map[string]any{"auth": map[string]any{"existingSecret": "db-auth"}},
	}
	if target != "" {
		forProvider["namespace"] = target
	}
	release.Object["spec"] = map[string]any{"forProvider": forProvider}
	return release
}

// awaitRelease reads a Release of a kind until a check holds.
func awaitRelease(t *testing.T, c client.Client, kind schema.GroupVersionKind, namespace, name string, check func(*unstructured.Unstructured) error) *unstructured.Unstructured {
	t.Helper()
	release := untyped(kind)
	testenv.Eventually(t, func(ctx context.Context) error {
		release = untyped(kind)
		if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, release); err != nil {
			return err
		}
		if check == nil {
			return nil
		}
		return check(release)
	})
	return release
}

// synced gives the status and the message of the condition Synced.
func synced(release *unstructured.Unstructured) (status, message string) {
	conditions, _, _ := unstructured.NestedSlice(release.Object, "status", "conditions")
	for _, condition := range conditions {
		if fields := condition.(map[string]any); fields["type"] == "Synced" {
			status, _ = fields["status"].(string)
			message, _ = fields["message"].(string)
		}
	}
	return status, message
}

func setReleaseStatus(t *testing.T, w *world, namespace, name string) {
	t.Helper()
	release := untyped(namespacedReleaseKind)
	release.SetNamespace(namespace)
	release.SetName(name)
	setStatus(t, w.host.Client, release, func() {
		release.Object["status"] = map[string]any{
			"atProvider": map[string]any{"state": "deployed", "revision": int64(1)},
			"conditions": []any{map[string]any{
				"type": "Ready", "status": "True", "reason": "Available", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
			}},
		}
	})
}

func releaseFollows(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "release")
	create(t, w.virtual.Client, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "db-auth"}})
	virtual := simpleRelease(namespacedReleaseKind, ns, "db", "")
	virtual.SetAnnotations(map[string]string{platformv1alpha1.AnnotationExternalName: "database"})
	create(t, w.virtual.Client, virtual)

	host := awaitRelease(t, w.host.Client, namespacedReleaseKind, hostNS, "db", nil)
	if got := releaseTarget(host); got != hostNS {
		t.Errorf("the host Release installs into %q, want %q", got, hostNS)
	}
	if host.GetAnnotations()[platformv1alpha1.AnnotationExternalName] != "database" {
		t.Errorf("annotations on the host are %v", host.GetAnnotations())
	}
	await[corev1.Secret](t, w.host.Client, hostNS, "db-auth", nil)

	setReleaseStatus(t, w, hostNS, "db")
	awaitRelease(t, w.virtual.Client, namespacedReleaseKind, ns, "db", func(r *unstructured.Unstructured) error {
		state, _, _ := unstructured.NestedString(r.Object, "status", "atProvider", "state")
		return want(state == "deployed", "state is %q", state)
	})
	update(t, w.virtual.Client, virtual, func() {
		_ = unstructured.SetNestedField(virtual.Object, "1.1.0", "spec", "forProvider", "chart", "version")
	})
	awaitRelease(t, w.host.Client, namespacedReleaseKind, hostNS, "db", func(r *unstructured.Unstructured) error {
		version, _, _ := unstructured.NestedString(r.Object, "spec", "forProvider", "chart", "version")
		return want(version == "1.1.0", "version is %q", version)
	})

	update(t, w.host.Client, host, func() { host.SetFinalizers([]string{"example.com/uninstall"}) })
	if err := w.virtual.Client.Delete(t.Context(), virtual); err != nil {
		t.Fatal(err)
	}
	awaitRelease(t, w.host.Client, namespacedReleaseKind, hostNS, "db", func(r *unstructured.Unstructured) error {
		return want(r.GetDeletionTimestamp() != nil, "the host Release is not being deleted")
	})
	awaitRelease(t, w.virtual.Client, namespacedReleaseKind, ns, "db", nil)
	update(t, w.host.Client, host, func() { host.SetFinalizers(nil) })
	gone(t, w.virtual.Client, untyped(namespacedReleaseKind), ns, "db")
}

func releaseClusterScoped(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "release-cluster")
	virtual := simpleRelease(clusterReleaseKind, "", "cache", ns)
	create(t, w.virtual.Client, virtual)
	host := awaitRelease(t, w.host.Client, namespacedReleaseKind, hostNS, "cache", nil)
	if host.GetAnnotations()[platformv1alpha1.AnnotationVirtualScope] != "Cluster" {
		t.Errorf("annotations on the host are %v", host.GetAnnotations())
	}
	setReleaseStatus(t, w, hostNS, "cache")
	awaitRelease(t, w.virtual.Client, clusterReleaseKind, "", "cache", func(r *unstructured.Unstructured) error {
		revision, _, _ := unstructured.NestedInt64(r.Object, "status", "atProvider", "revision")
		return want(revision == 1, "revision is %d", revision)
	})
	create(t, w.host.Client, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: hostNS, Name: "cache.installed"},
		InvolvedObject: corev1.ObjectReference{Kind: "Release", Namespace: hostNS, Name: "cache", UID: host.GetUID(), APIVersion: host.GetAPIVersion()},
		Reason:         "Installed", Type: "Normal", LastTimestamp: metav1.Now(),
	})
	event := await[corev1.Event](t, w.virtual.Client, "default", "cache.installed", nil)
	if event.InvolvedObject.UID != virtual.GetUID() || event.InvolvedObject.APIVersion != "helm.crossplane.io/v1beta1" {
		t.Errorf("the event is about %+v", event.InvolvedObject)
	}
	if err := w.virtual.Client.Delete(t.Context(), virtual); err != nil {
		t.Fatal(err)
	}
	gone(t, w.host.Client, untyped(namespacedReleaseKind), hostNS, "cache")
	gone(t, w.virtual.Client, untyped(clusterReleaseKind), "", "cache")
}

func releaseAdopts(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "release-anew")
	first := simpleRelease(namespacedReleaseKind, ns, "db", "")
	create(t, w.virtual.Client, first)
	host := awaitRelease(t, w.host.Client, namespacedReleaseKind, hostNS, "db", nil)

	// Made anew behind the syncer's back, as a restore does it.
	w.stop()
	update(t, w.virtual.Client, first, func() { first.SetFinalizers(nil) })
	if err := w.virtual.Client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := simpleRelease(namespacedReleaseKind, ns, "db", "")
	create(t, w.virtual.Client, second)
	w.start(t)

	awaitRelease(t, w.host.Client, namespacedReleaseKind, hostNS, "db", func(r *unstructured.Unstructured) error {
		return want(r.GetUID() == host.GetUID() && virtualUID(r) == second.GetUID(), "host Release %s is of %s", r.GetUID(), virtualUID(r))
	})
}

func releaseRefused(t *testing.T, w *world) {
	ns, _ := w.namespace(t, "release-refused")
	elsewhere := simpleRelease(namespacedReleaseKind, ns, "elsewhere", "kube-system")
	nowhere := simpleRelease(clusterReleaseKind, "", "nowhere", "not-there")
	create(t, w.virtual.Client, elsewhere)
	create(t, w.virtual.Client, nowhere)
	says := func(words string) func(*unstructured.Unstructured) error {
		return func(r *unstructured.Unstructured) error {
			status, message := synced(r)
			return want(status == "False" && strings.Contains(message, words), "Synced is %s: %s", status, message)
		}
	}
	awaitRelease(t, w.virtual.Client, namespacedReleaseKind, ns, "elsewhere", says(`installs only into its own namespace "release-refused"`))
	awaitRelease(t, w.virtual.Client, clusterReleaseKind, "", "nowhere", says(`has no namespace "not-there"`))

	_, hostNS := w.namespace(t, "not-there")
	awaitRelease(t, w.host.Client, namespacedReleaseKind, hostNS, "nowhere", nil)
}

func releasesCollide(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "collide")
	first := simpleRelease(namespacedReleaseKind, ns, "twice", "")
	create(t, w.virtual.Client, first)
	awaitRelease(t, w.host.Client, namespacedReleaseKind, hostNS, "twice", nil)
	second := simpleRelease(clusterReleaseKind, "", "twice", ns)
	create(t, w.virtual.Client, second)
	awaitRelease(t, w.virtual.Client, clusterReleaseKind, "", "twice", func(r *unstructured.Unstructured) error {
		status, message := synced(r)
		return want(status == "False" && strings.Contains(message, "Release.helm.m.crossplane.io"), "Synced is %s: %s", status, message)
	})

	if err := w.virtual.Client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, untyped(namespacedReleaseKind), ns, "twice")
	awaitRelease(t, w.host.Client, namespacedReleaseKind, hostNS, "twice", func(r *unstructured.Unstructured) error {
		return want(r.GetAnnotations()[platformv1alpha1.AnnotationVirtualScope] == "Cluster", "annotations are %v", r.GetAnnotations())
	})
}
