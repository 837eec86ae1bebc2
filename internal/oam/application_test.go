// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// A claim's application comes up in order: the service waits for its database, health
// climbs back into the status, and the revision is on record.
func TestApplicationComesUp(t *testing.T) {
	s := newStage(t)
	db := s.namespace + "-db" // Releases are cluster-scoped
	s.deploy("shop", spec(
		component{name: "shop", typ: "webservice", dependsOn: []string{"db"},
			properties: `{"image":"demo:1","ports":[{"port":80,"expose":true}]}`,
			traits:     []oamv1.ApplicationTrait{{Type: "scaler", Properties: &runtime.RawExtension{Raw: []byte(`{"replicas":2}`)}}}},
		component{name: "db", typ: "postgresql", properties: fmt.Sprintf(`{"name":%q}`, db)},
	))
	s.eventually("shop", all(phase(oamv1.PhaseRunningWorkflow),
		condition("Applied", metav1.ConditionFalse, `component "shop" waits for db`),
		condition("Ready", metav1.ConditionFalse, `component "db": the Release has not been seen by the Helm engine yet`),
		condition("Synced", metav1.ConditionTrue, "")))
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "shop"}, &appsv1.Deployment{}); !apierrors.IsNotFound(err) {
		t.Fatalf("the service did not wait for its database: %v", err)
	}

	s.report(db+"-postgresql", "False", "True", "Pod db-0: image not found")
	s.eventually("shop", condition("Ready", metav1.ConditionFalse, "Pod db-0: image not found"))
	s.report(db+"-postgresql", "True", "True", "")
	d := there(s, &appsv1.Deployment{}, "shop")
	if *d.Spec.Replicas != 2 {
		t.Errorf("got %d replicas, want 2", *d.Spec.Replicas)
	}
	s.readyDeployment("shop", 2)
	s.eventually("shop", all(phase(oamv1.PhaseRunning), condition("Ready", metav1.ConditionTrue, ""), func(app *oamv1.Application) error {
		want := []oamv1.ApplicationComponentStatus{
			{Name: "shop", Namespace: s.namespace, Cluster: "shop", Healthy: true, WorkloadHealthy: true, Message: "Ready:2/2",
				WorkloadDefinition: oamv1.WorkloadGVK{APIVersion: "apps/v1", Kind: "Deployment"},
				Traits:             []oamv1.ApplicationTraitStatus{{Type: "scaler", Healthy: true}}},
			{Name: "db", Namespace: s.namespace, Cluster: "shop", Healthy: true, WorkloadHealthy: true, Message: "Ready",
				WorkloadDefinition: oamv1.WorkloadGVK{APIVersion: "helm.crossplane.io/v1beta1", Kind: "Release"}},
		}
		if diff := cmp.Diff(want, app.Status.Services); diff != "" {
			return fmt.Errorf("services (-want +got): %s", diff)
		}
		if diff := cmp.Diff([]string{"Deployment/shop", "Release/" + db + "-postgresql", "Service/shop"}, names(app.Status.AppliedResources)); diff != "" {
			return fmt.Errorf("appliedResources (-want +got): %s", diff)
		}
		return nil
	}))
	testenv.Eventually(t, func(ctx context.Context) error {
		rev := &oamv1.ApplicationRevision{}
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "shop-v1"}, rev); err != nil {
			return err
		}
		if !rev.Status.Succeeded || rev.Spec.ComponentDefinitions["postgresql"] == nil || rev.Spec.TraitDefinitions["scaler"] == nil {
			return fmt.Errorf("revision is not complete: %+v", rev)
		}
		return nil
	})

	s.report(db+"-postgresql", "False", "True", "the volume is full")
	s.eventually("shop", all(phase(oamv1.PhaseUnhealthy), condition("Ready", metav1.ConditionFalse, `component "db": the volume is full`)))
}

// What the new version does not render goes, what it still renders stays the same object,
// and editing back and forth loses nothing.
func TestUpdateAndBackAgain(t *testing.T) {
	s := newStage(t)
	s.deploy("app", spec(configMap("a"), configMap("b")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	a := there(s, &corev1.ConfigMap{}, "a")

	s.deploy("app", spec(configMap("a"), configMap("c")))
	s.gone(&corev1.ConfigMap{}, "b")
	there(s, &corev1.ConfigMap{}, "c")
	s.eventually("app", func(app *oamv1.Application) error {
		if diff := cmp.Diff([]string{"ConfigMap/a", "ConfigMap/c"}, names(app.Status.AppliedResources)); diff != "" {
			return fmt.Errorf("appliedResources (-want +got): %s", diff)
		}
		return nil
	})

	for i := range 10 {
		s.deploy("app", spec(configMap("a"), configMap([]string{"b", "c"}[i%2])))
	}
	s.deploy("app", spec(configMap("a"), configMap("b")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	s.gone(&corev1.ConfigMap{}, "c")
	there(s, &corev1.ConfigMap{}, "b")
	if now := there(s, &corev1.ConfigMap{}, "a"); now.UID != a.UID {
		t.Error("a ConfigMap that every version renders was made anew")
	}
	revisions := &oamv1.ApplicationRevisionList{}
	if err := s.List(t.Context(), revisions, client.InNamespace(s.namespace)); err != nil {
		t.Fatal(err)
	}
	if n := len(revisions.Items); n < 2 || n > 10 {
		t.Errorf("got %d revisions, want at least 2 and at most 10", n)
	}
}

// An object that goes back in while its deletion is still waited for comes back once it
// is gone, and is never lost.
func TestBackWhileTerminating(t *testing.T) {
	s := newStage(t)
	s.deploy("app", spec(configMap("a"), configMap("held")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	s.hold("held")
	s.deploy("app", spec(configMap("a")))
	s.eventually("app", condition("Applied", metav1.ConditionTrue, "waiting for the deletion of ConfigMap "+s.namespace+"/held"))
	s.deploy("app", spec(configMap("a"), configMap("held")))
	s.eventually("app", condition("Ready", metav1.ConditionFalse, "ConfigMap held is being deleted"))
	s.release("held")
	s.eventually("app", phase(oamv1.PhaseRunning))
	if cm := there(s, &corev1.ConfigMap{}, "held"); !cm.DeletionTimestamp.IsZero() || cm.Data["k"] != "v" {
		t.Errorf("the ConfigMap did not come back: %+v", cm)
	}
}

// hold puts a finalizer on a ConfigMap, and release takes it off.
func (s *stage) hold(name string)    { s.Helper(); s.setFinalizers(name, "test.skerry.dev/hold") }
func (s *stage) release(name string) { s.Helper(); s.setFinalizers(name) }

func (s *stage) setFinalizers(name string, finalizers ...string) {
	s.Helper()
	testenv.Eventually(s, func(ctx context.Context) error {
		cm := &corev1.ConfigMap{}
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, cm); err != nil {
			return err
		}
		cm.Finalizers = finalizers
		return s.Update(ctx, cm)
	})
}

// A person's change to an applied object is taken back, and so is a deletion.
func TestDrift(t *testing.T) {
	s := newStage(t)
	s.deploy("app", spec(configMap("a")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	cm := there(s, &corev1.ConfigMap{}, "a")
	cm.Data["k"] = "changed"
	cm.Labels = nil
	if err := s.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(cm), cm); err != nil {
			return err
		}
		if cm.Data["k"] != "v" || cm.Labels[oamv1.LabelAppName] != "app" {
			return fmt.Errorf("not repaired: %v %v", cm.Data, cm.Labels)
		}
		return nil
	})
	if err := s.Delete(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	there(s, &corev1.ConfigMap{}, "a")
}

// Deletion removes everything in the inventory, waits until it is gone and says for what.
func TestDeletion(t *testing.T) {
	s := newStage(t)
	s.deploy("app", spec(configMap("a"), configMap("held")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	s.hold("held")
	app := there(s, &oamv1.Application{}, "app")
	if err := s.Delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	s.eventually("app", all(condition("Ready", metav1.ConditionFalse, "waiting for the deletion of ConfigMap "+s.namespace+"/held"),
		func(app *oamv1.Application) error {
			if app.Status.Phase != oamv1.PhaseDeleting {
				return fmt.Errorf("phase is %s", app.Status.Phase)
			}
			return nil
		}))
	s.gone(&corev1.ConfigMap{}, "a")
	s.release("held")
	s.gone(&oamv1.Application{}, "app")
	revisions, trackers := &oamv1.ApplicationRevisionList{}, &oamv1.ResourceTrackerList{}
	if err := s.List(t.Context(), revisions, client.InNamespace(s.namespace)); err != nil || len(revisions.Items) > 0 {
		t.Errorf("revisions are left: %v %v", revisions.Items, err)
	}
	if err := s.List(t.Context(), trackers, client.MatchingLabels{oamv1.LabelAppNamespace: s.namespace}); err != nil || len(trackers.Items) > 0 {
		t.Errorf("inventories are left: %v %v", trackers.Items, err)
	}
}

// needing makes a component depend on others.
func needing(c component, others ...string) component {
	c.dependsOn = others
	return c
}

// What others depend on goes last, and only once they are gone: the database outlives the
// service that uses it, whether the whole Application goes or both are dropped from it.
func TestRemovalInReverseOrder(t *testing.T) {
	chain := []component{needing(configMap("web"), "api"), needing(configMap("api"), "db"), configMap("db")}
	for name, remove := range map[string]func(*stage){
		"deleted": func(s *stage) {
			if err := s.Delete(s.Context(), there(s, &oamv1.Application{}, "app")); err != nil {
				s.Fatal(err)
			}
		},
		"dropped": func(s *stage) { s.deploy("app", spec(configMap("kept"))) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.deploy("app", spec(append(chain, configMap("kept"))...))
			s.eventually("app", phase(oamv1.PhaseRunning))
			s.hold("api")
			remove(s)
			s.gone(&corev1.ConfigMap{}, "web")
			typ := map[string]string{"deleted": "Ready", "dropped": "Applied"}[name]
			says := "waiting for the deletion of ConfigMap " + s.namespace + `/api; then component "db" goes`
			s.eventually("app", func(app *oamv1.Application) error {
				if c := meta.FindStatusCondition(app.Status.Conditions, typ); c == nil || !strings.Contains(c.Message, says) {
					return fmt.Errorf("condition %s is %+v", typ, c)
				}
				return nil
			})
			if db := there(s, &corev1.ConfigMap{}, "db"); !db.DeletionTimestamp.IsZero() {
				t.Error("the database went before what depends on it")
			}
			s.release("api")
			s.gone(&corev1.ConfigMap{}, "db")
			if name == "dropped" {
				s.eventually("app", all(phase(oamv1.PhaseRunning), condition("Applied", metav1.ConditionTrue, "")))
				there(s, &corev1.ConfigMap{}, "kept")
				return
			}
			s.gone(&oamv1.Application{}, "app")
		})
	}
}

// What happens to an Application is told as events too, and nothing secret with it.
func TestEvents(t *testing.T) {
	s := newStage(t)
	s.deploy("app", spec(configMap("a")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	s.deploy("app", spec(component{name: "a", typ: "k8s-objects", properties: `{"objects":[
		{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"password":31415926}}]}`}))
	s.eventually("app", condition("Applied", metav1.ConditionFalse, ".stringData.password: expected string, got a number"))
	want := []string{"Applied: rendered and applied revision app-v1", `Healthy: healthy: component "a"`,
		"NotApplied: component \"a\": applying: Secret/" + s.namespace + "/s dry-run failed"}
	testenv.Eventually(t, func(ctx context.Context) error {
		list := &eventsv1.EventList{}
		if err := s.List(ctx, list, client.InNamespace(s.namespace)); err != nil {
			return err
		}
		var got []string
		for _, e := range list.Items {
			got = append(got, e.Reason+": "+e.Note)
		}
		told := strings.Join(got, "\n")
		if strings.Contains(told, "31415926") {
			t.Fatalf("an event tells a password:\n%s", told)
		}
		for _, w := range want {
			if !strings.Contains(told, w) {
				return fmt.Errorf("no event says %q:\n%s", w, told)
			}
		}
		return nil
	})
}
