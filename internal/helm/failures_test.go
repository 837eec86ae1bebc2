// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/release/common"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1beta1 "github.com/skerry-platform/skerry/api/helm.crossplane.io/v1beta1"
	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

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
		rel.Spec.ForProvider.Values.Raw = []byte(`{"architecture":"replication"}`)
	})
	w.until("db-postgresql", condition("Synced", "False", "architecture: this chart serves standalone only"))
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
	w.told("app", "Installed", "UpgradeFailed", "RolledBack", "Upgraded")
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

// In a namespace that is being deleted there is nothing to do but to let go.
func TestTerminatingNamespace(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", ""))
	w.until("app", condition("Ready", "True", ""))
	if err := w.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		ns := &corev1.Namespace{}
		if err := w.Client.Get(ctx, client.ObjectKey{Name: w.ns}, ns); err != nil {
			return client.IgnoreNotFound(err) // it has ended already, and the Release with it
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

// Releases that nobody serves say so.
func TestNotServed(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	cases := map[string]struct {
		edit func(*helmv1beta1.Release)
		says string
	}{
		"namespace":                       {func(rel *helmv1beta1.Release) { rel.Spec.ForProvider.Namespace = "kube-system" }, "spec.forProvider.namespace is \"kube-system\""},
		strings.Repeat("long", 13) + "er": {func(*helmv1beta1.Release) {}, "which is 54 characters long; Helm allows 53"},
		"patches": {func(rel *helmv1beta1.Release) {
			rel.Spec.ForProvider.PatchesFrom = []helmv1beta1.ValueFromSource{fromSecret("p", "", true)}
		}, "spec.forProvider.patchesFrom is not served"},
		"policies": {func(rel *helmv1beta1.Release) {
			rel.Spec.ManagementPolicies = []helmv1beta1.ManagementPolicy{"Observe"}
		}, "spec.managementPolicies without Observe, Create and Update is not served"},
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

// An uninstall that is denied says what cannot be deleted, holds the Release, and goes on once
// it may.
func TestDeniedUninstall(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", ""))
	w.until("db-postgresql", condition("Synced", "True", ""))
	w.restrict("statefulsets", "get", "list", "watch")
	w.delete("db-postgresql")
	w.until("db-postgresql", condition("Synced", "False", "cannot delete resource \"statefulsets\""))
	w.restrict("statefulsets", "*")
	w.untilGone("db-postgresql")
	w.empty()
}

// A Job that went by itself once it was done is not made again.
func TestFinishedJobIsNotMissing(t *testing.T) {
	catalog := tinyChart(map[string]string{"job.yaml": `apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  ttlSecondsAfterFinished: 0
  template: {spec: {restartPolicy: Never, containers: [{name: once, image: x}]}}
`}, "1.0.0")
	w := newWorld(t, Options{Catalog: catalog}).allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", ""))
	w.until("app", all(condition("Synced", "True", ""), condition("Ready", "False", "Job once")))
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "once"}}
	if err := w.Client.Delete(t.Context(), job, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	w.until("app", all(condition("Synced", "True", "revision 1"), condition("Ready", "True", "")))
}

// The chart repository goes away and the engine is restarted, so that it remembers nothing. What is installed
// stays as it is and is judged as before, deletes cleanly, and only what needs the chart says that it
// cannot be had.
func TestRepositoryGoesAway(t *testing.T) {
	s := newServer(t, "")
	s.serve("1.0.0", archiveOf(t, "1.0.0", "one"), "")
	w := newWorld(t, Options{}).allow()
	rel := w.releaseOf("app", "tiny", "1.0.0", "")
	rel.Spec.ForProvider.Chart.Repository = s.URL
	w.create(rel)
	w.until("app", all(deployedAt(1), condition("Ready", "True", "")))
	w.kill()
	s.Close()
	w.start()
	w.until("app", all(deployedAt(1), condition("Synced", "True", "its chart cannot be fetched now: downloading "+s.URL), condition("Ready", "True", "")))
	w.change("app", func(rel *helmv1beta1.Release) { rel.Spec.ForProvider.Values.Raw = []byte(`{"text":"two"}`) })
	w.until("app", all(condition("Synced", "False", "downloading "+s.URL), condition("Ready", "True", "")))
	w.delete("app")
	w.untilGone("app")
	w.empty()
}

// A person's own Pod and volume claim carry the label that charts use. They are not the release's, and its
// deletion waits for the release's own only.
func TestDeletionDoesNotWaitForStrangers(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.serviceAccount()
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", ""))
	set := w.statefulSet("db-postgresql")
	w.until("db-postgresql", condition("Synced", "True", ""))
	label := map[string]string{labelInstance: "db-postgresql"}
	container := []corev1.Container{{Name: "x", Image: "x"}}
	stranger := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "mine", Labels: label}, Spec: corev1.PodSpec{Containers: container}}
	own := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.ns, Name: "db-postgresql-0", Labels: label, Finalizers: []string{"example.com/hold"},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
	}, Spec: corev1.PodSpec{Containers: container}}
	w.create(stranger)
	w.create(own)
	w.delete("db-postgresql")
	w.until("db-postgresql", func(rel *helmv1beta1.Release) error {
		c := status.Get(rel.Status.Conditions, "Ready")
		if c == nil || !strings.HasSuffix(c.Message, "until these are gone: Pod db-postgresql-0") {
			return fmt.Errorf("it does not wait for its own Pod alone")
		}
		return nil
	})
	own.Finalizers = nil
	if err := w.Client.Patch(t.Context(), own, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		t.Fatal(err)
	}
	if err := w.Client.Delete(t.Context(), own, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	w.untilGone("db-postgresql")
	if err := w.Client.Get(t.Context(), client.ObjectKeyFromObject(stranger), stranger); err != nil {
		t.Errorf("the person's Pod: %v", err)
	}
}
