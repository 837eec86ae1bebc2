// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// A database is installed, becomes ready when its Pods are, is changed, and goes
// without a trace.
func TestReleaseLife(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("shop-db-postgresql", "postgresql", "13.2.24",
		`{"auth":{"username":"shop","database":"shop"},"primary":{"resources":{"limits":{"memory":"256Mi"}},"persistence":{"size":"1Gi"}}}`))

	rel := w.until("shop-db-postgresql", all(condition("Synced", "True", ""), condition("Ready", "False", "StatefulSet shop-db-postgresql")))
	at := rel.Status.AtProvider
	if at.State != "deployed" || at.Revision != 1 || at.Version != "13.2.24" || !strings.HasPrefix(at.Digest, "sha256:") || !rel.Status.Synced {
		t.Errorf("status after the install: %+v", rel.Status)
	}
	w.playReady("shop-db-postgresql")
	w.until("shop-db-postgresql", condition("Ready", "True", ""))
	binding := w.secret("shop-db-binding")
	if binding.Labels[platformv1alpha1.LabelBinding] != "shop-db" || binding.Type != "servicebinding.io/postgresql" {
		t.Errorf("binding: type %q, labels %v", binding.Type, binding.Labels)
	}

	w.change("shop-db-postgresql", func(rel *helmv1beta1.Release) {
		rel.Spec.ForProvider.Values.Raw = []byte(strings.Replace(string(rel.Spec.ForProvider.Values.Raw), "256Mi", "512Mi", 1))
	})
	w.until("shop-db-postgresql", all(condition("Synced", "True", "revision 2"), condition("Ready", "False", "")))
	memory := w.statefulSet("shop-db-postgresql").Spec.Template.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]
	if memory.String() != "512Mi" {
		t.Errorf("the memory limit is %s after the upgrade", memory.String())
	}
	if again := w.secret("shop-db-binding"); string(again.Data["password"]) != string(binding.Data["password"]) {
		t.Error("the upgrade made a new password")
	}
	w.playReady("shop-db-postgresql")
	w.until("shop-db-postgresql", condition("Ready", "True", ""))

	w.delete("shop-db-postgresql")
	w.untilGone("shop-db-postgresql")
	w.empty()
}

// Somebody deletes the StatefulSet; the engine makes it again and keeps the password.
func TestDeletedWorkloadIsMadeAgain(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("cache-redis", "redis", "18.19.4", `{"master":{"persistence":{"enabled":false}}}`))
	w.playReady("cache-redis-master")
	w.until("cache-redis", condition("Ready", "True", ""))
	old := w.statefulSet("cache-redis-master")
	if err := w.Client.Delete(t.Context(), old.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		set := &appsv1.StatefulSet{}
		if err := w.Client.Get(ctx, client.ObjectKeyFromObject(old), set); err != nil {
			return err
		}
		if set.UID == old.UID {
			return fmt.Errorf("the old one is still there")
		}
		return nil
	})
	w.playReady("cache-redis-master")
	w.until("cache-redis", all(condition("Synced", "True", "revision 1"), condition("Ready", "True", "")))
}

// Values come from a Secret; changing the Secret upgrades the release without a word.
func TestValuesFromAreWatched(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0", "1.1.0")}).allow()
	rel := w.releaseOf("app", "tiny", "", "")
	rel.Spec.ForProvider.ValuesFrom = []helmv1beta1.ValueFromSource{fromSecret("text", "v", false)}
	w.create(rel)
	w.until("app", condition("Synced", "False", "Secret text does not exist"))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "text"}, StringData: map[string]string{"v": "text: one"}}
	w.create(secret)
	w.until("app", all(condition("Ready", "True", ""), func(rel *helmv1beta1.Release) error {
		if rel.Status.AtProvider.Version != "1.1.0" {
			return fmt.Errorf("the newest version is not installed")
		}
		return nil
	}))
	secret.StringData = map[string]string{"v": "text: two"}
	if err := w.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.until("app", condition("Synced", "True", "revision 2"))
	if text := w.configMap("app").Data["text"]; text != "two" {
		t.Errorf("the text is %q", text)
	}
}

// The cause of an unready workload is the deepest there is: what its Pod says.
func TestReadyTellsTheDeepestCause(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", ""))
	set := w.statefulSet("db-postgresql")
	w.until("db-postgresql", condition("Synced", "True", ""))
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "default"}}
	if err := w.Client.Create(t.Context(), account); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "db-postgresql-0", Labels: set.Spec.Template.Labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "postgresql", Image: "docker.io/library/postgres:15"}}},
	}
	w.create(pod)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name:  "postgresql",
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image: not found"}},
	}}
	if err := w.Client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	rel := w.until("db-postgresql", condition("Ready", "False", "Pod db-postgresql-0: container postgresql: ImagePullBackOff: Back-off pulling image: not found"))
	if c := status.Get(rel.Status.Conditions, "Ready"); c.Reason != platformv1alpha1.ReasonUnavailable {
		t.Errorf("reason %s", c.Reason)
	}
}

// A paused Release is left alone, also while it is being deleted.
func TestPaused(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	rel := w.releaseOf("app", "tiny", "1.0.0", "")
	rel.Annotations = map[string]string{platformv1alpha1.AnnotationPaused: "true"}
	w.create(rel)
	w.until("app", func(rel *helmv1beta1.Release) error {
		if c := status.Get(rel.Status.Conditions, "Synced"); c == nil || c.Reason != platformv1alpha1.ReasonReconcilePaused {
			return fmt.Errorf("not paused")
		}
		return nil
	})
	w.empty()
	w.change("app", func(rel *helmv1beta1.Release) { rel.Annotations = nil })
	w.until("app", condition("Ready", "True", ""))
}

// The Helm release has another name, and stays when the Release is orphaned.
func TestExternalNameAndOrphan(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	rel := w.releaseOf("app", "tiny", "1.0.0", "")
	rel.Annotations = map[string]string{platformv1alpha1.AnnotationExternalName: "other"}
	rel.Spec.DeletionPolicy = helmv1beta1.DeletionOrphan
	w.create(rel)
	w.until("app", condition("Ready", "True", ""))
	w.delete("app")
	w.untilGone("app")
	w.configMap("other")
}

// A Release is heard of before the labels of its namespace are, and nothing else happens to it afterwards.
func TestNamespaceComesLater(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")})
	w.ns = platformv1alpha1.HostNamespace(w.vc, "later")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}
	w.create(ns)
	w.allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", ""))
	w.until("app", condition("Synced", "False", "belongs to no virtual cluster"))
	before := ns.DeepCopy()
	ns.Labels = map[string]string{platformv1alpha1.LabelVirtualCluster: w.vc, platformv1alpha1.LabelVirtualNamespace: "later"}
	if err := w.Client.Patch(t.Context(), ns, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	w.until("app", deployedAt(1))
}
