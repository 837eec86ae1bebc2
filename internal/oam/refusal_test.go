// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam_test

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// A bad edit deletes nothing, keeps the version that runs running and repaired, says
// what is wrong, and heals when corrected.
func TestBadEdit(t *testing.T) {
	s := newStage(t)
	s.deploy("app", spec(configMap("a"), configMap("b")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	s.deploy("app", spec(configMap("a"), component{name: "web", typ: "webservice", properties: `{"imge":"x"}`}))
	s.eventually("app", all(phase(oamv1.PhaseRendering),
		condition("Render", metav1.ConditionFalse, `component "web": properties.imge: there is no such parameter; did you mean "image"? (ComponentDefinition vela-system/webservice, line `),
		condition("Synced", metav1.ConditionFalse, "app-v1 keeps running"),
		condition("Ready", metav1.ConditionTrue, "")))
	b := there(s, &corev1.ConfigMap{}, "b")
	if err := s.Delete(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	there(s, &corev1.ConfigMap{}, "b") // drift is still repaired
	s.deploy("app", spec(configMap("a")))
	s.eventually("app", all(phase(oamv1.PhaseRunning), condition("Synced", metav1.ConditionTrue, "")))
	s.gone(&corev1.ConfigMap{}, "b")
}

// An Application for another cluster is refused, and nothing is deployed to this one.
func TestWrongCluster(t *testing.T) {
	s := newStage(t)
	app := &oamv1.Application{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: s.namespace,
		Annotations: map[string]string{oamv1.AnnotationCluster: "production"}}, Spec: spec(configMap("a"))}
	if err := s.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	s.eventually("app", all(condition("Parsed", metav1.ConditionFalse, `names the cluster "production" but is in "shop"`),
		condition("Ready", metav1.ConditionFalse, "production")))
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "a"}, &corev1.ConfigMap{}); err == nil {
		t.Error("it was deployed here")
	}
	app = there(s, &oamv1.Application{}, "app")
	app.Annotations[oamv1.AnnotationCluster] = "shop"
	if err := s.Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	s.eventually("app", phase(oamv1.PhaseRunning))
}

// A definition of one's own wins over the platform's, and correcting a bad one heals the
// Application without touching it.
func TestDefinitionIsCorrected(t *testing.T) {
	s := newStage(t)
	def := &oamv1.ComponentDefinition{ObjectMeta: metav1.ObjectMeta{Name: "worker", Namespace: s.namespace}}
	def.Spec.Schematic = &oamv1.Schematic{CUE: &oamv1.CUE{Template: "output: {\n\tapiVersion: \"v1\"\n\tkind: \"ConfigMap\"\n\tdata: k: contxt.name\n}"}}
	if err := s.Create(t.Context(), def); err != nil {
		t.Fatal(err)
	}
	s.deploy("app", spec(component{name: "w", typ: "worker"}))
	s.eventually("app", condition("Render", metav1.ConditionFalse,
		`component "w": output.data.k: reference "contxt" not found (ComponentDefinition `+s.namespace+`/worker, line 4)`))
	correct := func(text string) {
		t.Helper()
		testenv.Eventually(t, func(ctx context.Context) error {
			if err := s.Get(ctx, client.ObjectKeyFromObject(def), def); err != nil {
				return err
			}
			def.Spec.Schematic.CUE.Template = text
			return s.Update(ctx, def)
		})
	}
	correct("output: {\n\tapiVersion: \"v1\"\n\tkind: \"ConfigMap\"\n\tdata: k: context.name\n}")
	s.eventually("app", phase(oamv1.PhaseRunning))
	correct("output: {\n\tapiVersion: \"v1\"\n\tkind: \"ConfigMap\"\n\tdata: k: \"second\"\n}")
	testenv.Eventually(t, func(ctx context.Context) error {
		cm := &corev1.ConfigMap{}
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "w"}, cm); err != nil {
			return err
		}
		if cm.Data["k"] != "second" {
			return fmt.Errorf("k is %q", cm.Data["k"])
		}
		return nil
	})
	if err := s.Delete(t.Context(), def); err != nil {
		t.Fatal(err)
	}
	s.eventually("app", condition("Render", metav1.ConditionFalse, "properties.image: the parameter is required")) // now vela-system's
	there(s, &corev1.ConfigMap{}, "w")
}

// A definition that would fill the machine's memory is stopped, and the error says which it
// is. Meanwhile and afterwards other Applications are served; corrected, it heals.
func TestRunawayDefinition(t *testing.T) {
	s := newStage(t)
	def := &oamv1.ComponentDefinition{ObjectMeta: metav1.ObjectMeta{Name: "huge", Namespace: s.namespace}}
	def.Spec.Schematic = &oamv1.Schematic{CUE: &oamv1.CUE{Template: `import "list"` +
		"\noutput: {apiVersion: \"v1\", kind: \"ConfigMap\", data: n: \"\\(len(list.Range(0, 1000000000, 1)))\"}"}}
	if err := s.Create(t.Context(), def); err != nil {
		t.Fatal(err)
	}
	s.deploy("bad", spec(component{name: "x", typ: "huge"}))
	s.deploy("good", spec(configMap("a")))
	s.eventually("good", phase(oamv1.PhaseRunning))
	s.eventually("bad", condition("Render", metav1.ConditionFalse, "evaluating it takes more than"))
	s.eventually("bad", condition("Render", metav1.ConditionFalse, "(ComponentDefinition "+s.namespace+"/huge)"))
	before := def.DeepCopy()
	def.Spec.Schematic.CUE.Template = "output: {apiVersion: \"v1\", kind: \"ConfigMap\"}"
	if err := s.Patch(t.Context(), def, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	s.eventually("bad", phase(oamv1.PhaseRunning))
}

// A healthPolicy that never ends makes its component unhealthy, and is not tried again and again.
func TestRunawayHealthPolicy(t *testing.T) {
	s := newStage(t)
	def := &oamv1.ComponentDefinition{ObjectMeta: metav1.ObjectMeta{Name: "sick", Namespace: s.namespace}}
	def.Spec.Schematic = &oamv1.Schematic{CUE: &oamv1.CUE{Template: "output: {apiVersion: \"v1\", kind: \"ConfigMap\"}"}}
	def.Spec.Status = &oamv1.Status{HealthPolicy: `import "list"` + "\nisHealth: len(list.Range(0, 1000000000, 1)) > 0"}
	if err := s.Create(t.Context(), def); err != nil {
		t.Fatal(err)
	}
	s.deploy("app", spec(component{name: "x", typ: "sick"}))
	s.eventually("app", condition("Ready", metav1.ConditionFalse, "evaluating it takes more than"))
	there(s, &corev1.ConfigMap{}, "x")
}

// Objects of somebody else are never taken over, and never deleted.
func TestSomebodyElses(t *testing.T) {
	s := newStage(t)
	own := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "own", Namespace: s.namespace}, Data: map[string]string{"k": "mine"}}
	if err := s.Create(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	s.deploy("first", spec(configMap("a")))
	s.eventually("first", phase(oamv1.PhaseRunning))
	s.deploy("second", spec(configMap("a"), configMap("own"), configMap("free")))
	s.eventually("second", all(
		condition("Applied", metav1.ConditionFalse, "ConfigMap a belongs to Application "+s.namespace+"/first"),
		condition("Applied", metav1.ConditionFalse, "ConfigMap own already exists and belongs to no Application"),
	))
	there(s, &corev1.ConfigMap{}, "free")
	if err := s.Delete(t.Context(), there(s, &oamv1.Application{}, "second")); err != nil {
		t.Fatal(err)
	}
	s.gone(&oamv1.Application{}, "second")
	s.gone(&corev1.ConfigMap{}, "free")
	if cm := there(s, &corev1.ConfigMap{}, "own"); cm.Data["k"] != "mine" {
		t.Errorf("somebody's ConfigMap was changed: %v", cm.Data)
	}
	there(s, &corev1.ConfigMap{}, "a")
}

// What the API server refuses is said with its own words, and does not hold up the other
// components; neither does it delete what is there.
func TestRefusedByTheCluster(t *testing.T) {
	s := newStage(t)
	s.deploy("app", spec(configMap("a"), configMap("b")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	object := func(text string) component {
		return component{name: "bad", typ: "k8s-objects", properties: `{"objects":[` + text + `]}`}
	}
	s.deploy("app", spec(object(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"bad"},"spec":{"ports":[]}}`), configMap("a"), configMap("c")))
	s.eventually("app", all(condition("Applied", metav1.ConditionFalse, "spec.ports: Required value"),
		condition("Synced", metav1.ConditionFalse, `component "bad"`), condition("Ready", metav1.ConditionFalse, `component "bad"`)))
	there(s, &corev1.ConfigMap{}, "c")
	there(s, &corev1.ConfigMap{}, "b")

	s.deploy("app", spec(object(`{"apiVersion":"example.com/v1","kind":"Unknown","metadata":{"name":"bad"}}`), configMap("a")))
	s.eventually("app", condition("Render", metav1.ConditionFalse,
		`component "bad": renders example.com/v1, Kind=Unknown, which this cluster does not serve`))
	s.deploy("app", spec(configMap("a")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	s.gone(&corev1.ConfigMap{}, "b")
	s.gone(&corev1.ConfigMap{}, "c")
}

// A paused Application is left as it is.
func TestPaused(t *testing.T) {
	s := newStage(t)
	s.deploy("app", spec(configMap("a")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	app := there(s, &oamv1.Application{}, "app")
	before := app.DeepCopy()
	app.Annotations = map[string]string{"crossplane.io/paused": "true"}
	if err := s.Patch(t.Context(), app, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	s.eventually("app", condition("Synced", metav1.ConditionFalse, "paused"))
	if err := s.Delete(t.Context(), there(s, &corev1.ConfigMap{}, "a")); err != nil {
		t.Fatal(err)
	}
	s.deploy("later", spec(configMap("b"))) // comes through after the deletion
	s.eventually("later", phase(oamv1.PhaseRunning))
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "a"}, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Errorf("a paused Application was repaired: %v", err)
	}
	if err := s.Patch(t.Context(), app, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":null}}`))); err != nil {
		t.Fatal(err)
	}
	there(s, &corev1.ConfigMap{}, "a")
}
