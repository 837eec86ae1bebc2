// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"helm.sh/helm/v4/pkg/release/common"

	clusterv1beta1 "github.com/skerry-platform/skerry/api/helm.crossplane.io/v1beta1"
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
	w.until("cache-redis", all(condition("Synced", "True", "revision 2"), condition("Ready", "True", "")))
}

// A wrong chart version says what there is, harms nothing, and heals when corrected.
func TestWrongVersionHeals(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", ""))
	w.playReady("db-postgresql")
	w.until("db-postgresql", condition("Ready", "True", ""))
	before := w.statefulSet("db-postgresql")

	w.change("db-postgresql", func(rel *helmv1beta1.Release) { rel.Spec.ForProvider.Chart.Version = "99.0.0" })
	rel := w.until("db-postgresql", all(
		condition("Synced", "False", "https://charts.bitnami.com/bitnami"),
		condition("Synced", "False", "13.2.24"),
		condition("Ready", "True", ""),
	))
	if rel.Status.Synced {
		t.Error("status.synced is true")
	}
	if after := w.statefulSet("db-postgresql"); after.ResourceVersion != before.ResourceVersion {
		t.Error("the running StatefulSet was touched")
	}
	w.change("db-postgresql", func(rel *helmv1beta1.Release) { rel.Spec.ForProvider.Chart.Version = "13.2.24" })
	w.until("db-postgresql", all(condition("Synced", "True", "revision 1"), condition("Ready", "True", "")))
}

// What the chart's schema refuses is passed on, and nothing is installed.
func TestWrongValues(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", `{"primary":{"persistence":{"size":"much"}}}`))
	w.until("db-postgresql", all(condition("Synced", "False", "/primary/persistence/size"), condition("Ready", "False", "")))
	w.change("db-postgresql", func(rel *helmv1beta1.Release) {
		rel.Spec.ForProvider.Values.Raw = []byte(`{"metrics":{"enabled":true}}`)
	})
	w.until("db-postgresql", condition("Synced", "False", "metrics.enabled: this chart has no exporter yet"))
	w.empty()
}

// An upgrade that the API server refuses is rolled back at once, told, and bounded; a corrected
// one goes through.
func TestFailedUpgradeIsRolledBack(t *testing.T) {
	catalog := tinyChart(map[string]string{"extra.yaml": "{{ if .Values.broken }}\napiVersion: v1\nkind: Service\nmetadata:\n  name: broken\nspec:\n  ports: [{port: 700000}]\n{{ end }}\n"}, "1.0.0")
	w := newWorld(t, Options{Catalog: catalog}).allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", `{"text":"one"}`))
	w.until("app", all(condition("Synced", "True", ""), condition("Ready", "True", "")))
	w.change("app", func(rel *helmv1beta1.Release) {
		rel.Spec.ForProvider.Values.Raw = []byte(`{"text":"two","broken":true}`)
		rel.Spec.RollbackLimit = ptrTo(int32(0))
	})
	rel := w.until("app", all(
		condition("Synced", "False", "700000"),
		condition("Ready", "True", ""),
		func(rel *helmv1beta1.Release) error {
			if rel.Status.AtProvider.Revision != 3 || rel.Status.Failed != 1 {
				return fmt.Errorf("not rolled back yet")
			}
			return nil
		}))
	if rel.Status.AtProvider.State != "deployed" {
		t.Errorf("state %q", rel.Status.AtProvider.State)
	}
	if text := w.configMap("app").Data["text"]; text != "one" {
		t.Errorf("after the rollback the text is %q", text)
	}
	w.change("app", func(rel *helmv1beta1.Release) { rel.Spec.ForProvider.Values.Raw = []byte(`{"text":"three"}`) })
	w.until("app", all(condition("Synced", "True", "revision 4"), condition("Ready", "True", "")))
	if text := w.configMap("app").Data["text"]; text != "three" {
		t.Errorf("after the correction the text is %q", text)
	}
}

// A crash between Helm's record and the end of an install leaves the release pending; the
// next process takes over, without an uninstall.
func TestCrashRecovery(t *testing.T) {
	for _, state := range []common.Status{common.StatusPendingInstall, common.StatusPendingUpgrade, common.StatusPendingRollback} {
		t.Run(state.String(), func(t *testing.T) {
			w := newWorld(t, Options{}).allow()
			w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", ""))
			w.playReady("db-postgresql")
			w.until("db-postgresql", condition("Ready", "True", ""))
			before := w.statefulSet("db-postgresql")
			w.kill()
			w.setState("db-postgresql", state)
			w.start()
			w.change("db-postgresql", func(rel *helmv1beta1.Release) {
				rel.Spec.ForProvider.Values.Raw = []byte(`{"primary":{"podAnnotations":{"x":"y"}}}`)
			})
			w.until("db-postgresql", func(rel *helmv1beta1.Release) error {
				if rel.Status.AtProvider.Revision < 2 || rel.Status.AtProvider.State != "deployed" || rel.Status.Failed != 0 {
					return fmt.Errorf("not recovered")
				}
				return nil
			})
			if after := w.statefulSet("db-postgresql"); after.UID != before.UID {
				t.Error("the StatefulSet was made anew")
			}
		})
	}
}

// Without its RoleBinding a tenant's chart installs nothing, and the condition says who
// may not do what.
func TestDeniedTenant(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", ""))
	w.until("db-postgresql", all(
		condition("Synced", "False", w.vc+"/skerry-tenant"),
		condition("Synced", "False", "namespace "+w.ns),
		condition("Synced", "False", "forbidden"),
	))
	w.allow()
	w.until("db-postgresql", condition("Synced", "True", ""))
}

// A chart that reaches outside of its namespace is stopped by the tenant's rights.
func TestChartMayNotReachOutside(t *testing.T) {
	catalog := tinyChart(map[string]string{"role.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {{ .Release.Namespace }}\nrules: []\n"}, "1.0.0")
	w := newWorld(t, Options{Catalog: catalog}).allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", ""))
	w.until("app", all(condition("Synced", "False", "clusterroles"), condition("Ready", "False", "")))
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
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "default"}})
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

// Releases that nobody serves say so.
func TestNotServed(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	cases := map[string]struct {
		edit func(*helmv1beta1.Release)
		says string
	}{
		"namespace": {func(rel *helmv1beta1.Release) { rel.Spec.ForProvider.Namespace = "kube-system" }, "spec.forProvider.namespace is \"kube-system\""},
		"patches": {func(rel *helmv1beta1.Release) {
			rel.Spec.ForProvider.PatchesFrom = []helmv1beta1.ValueFromSource{fromSecret("p", "", true)}
		}, "spec.forProvider.patchesFrom is not served"},
		"policies": {func(rel *helmv1beta1.Release) {
			rel.Spec.ManagementPolicies = []helmv1beta1.ManagementPolicy{"Observe"}
		}, "spec.managementPolicies is not served"},
	}
	for name, c := range cases {
		rel := w.releaseOf(name, "tiny", "1.0.0", "")
		c.edit(rel)
		w.create(rel)
		w.until(name, condition("Synced", "False", c.says))
	}
	virtual := w.releaseOf("virtual-name", "tiny", "1.0.0", "")
	virtual.Spec.ForProvider.Namespace = "default"
	virtual.Spec.WriteConnectionSecretToReference = &helmv1beta1.LocalSecretReference{Name: "x"}
	w.create(virtual)
	w.until("virtual-name", condition("Synced", "True", "spec.writeConnectionSecretToRef have no effect"))

	elsewhere := w.releaseOf("app", "tiny", "1.0.0", "")
	elsewhere.Namespace = w.vc
	w.create(elsewhere)
	cluster := &clusterv1beta1.Release{ObjectMeta: metav1.ObjectMeta{Name: w.vc}}
	cluster.Spec.ForProvider.Namespace = w.ns
	cluster.Spec.ForProvider.Values = runtime.RawExtension{Raw: []byte("{}")}
	w.create(cluster)
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := w.Client.Get(ctx, client.ObjectKeyFromObject(elsewhere), elsewhere); err != nil {
			return err
		}
		if err := w.Client.Get(ctx, client.ObjectKeyFromObject(cluster), cluster); err != nil {
			return err
		}
		for _, conditions := range [][]metav1.Condition{elsewhere.Status.Conditions, cluster.Status.Conditions} {
			if c := status.Get(conditions, "Synced"); c == nil || !strings.Contains(c.Message, "inside") {
				return fmt.Errorf("not told: %v", conditions)
			}
		}
		return nil
	})
}

// In a namespace that is being deleted there is nothing to do but to let go.
func TestTerminatingNamespace(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", ""))
	w.until("app", condition("Ready", "True", ""))
	if err := w.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}); err != nil {
		t.Fatal(err)
	}
	// The namespace controller, which is not here, would now delete what is in it.
	testenv.Eventually(t, func(ctx context.Context) error {
		ns := &corev1.Namespace{}
		if err := w.Client.Get(ctx, client.ObjectKey{Name: w.ns}, ns); err != nil {
			return err
		}
		if ns.DeletionTimestamp == nil {
			return fmt.Errorf("not terminating")
		}
		return nil
	})
	w.delete("app")
	w.untilGone("app")
}

// A volume that cannot grow in place is an error before anything is touched.
func TestStorageCannotChange(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", `{"primary":{"persistence":{"size":"1Gi"}}}`))
	w.until("db-postgresql", condition("Synced", "True", ""))
	w.change("db-postgresql", func(rel *helmv1beta1.Release) {
		rel.Spec.ForProvider.Values.Raw = []byte(`{"primary":{"persistence":{"size":"2Gi"}}}`)
	})
	w.until("db-postgresql", condition("Synced", "False", "cannot be changed from 1Gi to 2Gi"))
}

func (w *world) secret(name string) *corev1.Secret {
	w.t.Helper()
	secret := &corev1.Secret{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, secret); err != nil {
		w.t.Fatal(err)
	}
	return secret
}

func (w *world) configMap(name string) *corev1.ConfigMap {
	w.t.Helper()
	cm := &corev1.ConfigMap{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, cm); err != nil {
		w.t.Fatal(err)
	}
	return cm
}

func (w *world) delete(name string) {
	w.t.Helper()
	rel := &helmv1beta1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}
	if err := w.Client.Delete(w.t.Context(), rel); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) untilGone(name string) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		rel := &helmv1beta1.Release{}
		err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: name}, rel)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("still there (%v): %+v", err, rel.Status)
	})
}

// empty fails when something of a chart is in the tenant's namespace, or soon appears.
func (w *world) empty() {
	w.t.Helper()
	testenv.Always(w.t, 200*time.Millisecond, func(ctx context.Context) error {
		for _, list := range []client.ObjectList{&corev1.SecretList{}, &corev1.ConfigMapList{}, &corev1.ServiceList{}, &appsv1.StatefulSetList{}} {
			if err := w.Client.List(ctx, list, client.InNamespace(w.ns)); err != nil {
				return err
			}
			if n := meta.LenList(list); n > 0 {
				return fmt.Errorf("%d objects in %T", n, list)
			}
		}
		return nil
	})
}

// setState rewrites the state of Helm's last record, as a crash would leave it.
func (w *world) setState(name string, state common.Status) {
	w.t.Helper()
	c, err := newDirectClient(w.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := newSDK(w.Config, c.RESTMapper())
	if err != nil {
		w.t.Fatal(err)
	}
	cfg, err := s.configuration(w.Config, w.ns)
	if err != nil {
		w.t.Fatal(err)
	}
	last, err := (&job{cfg: cfg, name: name}).last()
	if err != nil {
		w.t.Fatal(err)
	}
	last.Info.Status = state
	if err := cfg.Releases.Update(last); err != nil {
		w.t.Fatal(err)
	}
}
