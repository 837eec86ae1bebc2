// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// define makes a ComponentDefinition of one's own.
func (s *stage) define(name, template string) *oamv1.ComponentDefinition {
	s.Helper()
	def := &oamv1.ComponentDefinition{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace}}
	def.Spec.Schematic = &oamv1.Schematic{CUE: &oamv1.CUE{Template: template}}
	if err := s.Create(s.Context(), def); err != nil {
		s.Fatal(err)
	}
	return def
}

// patch changes an object by a JSON merge patch.
func (s *stage) patch(o client.Object, name, patch string) {
	s.Helper()
	o.SetNamespace(s.namespace)
	o.SetName(name)
	if err := s.Patch(s.Context(), o, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		s.Fatal(err)
	}
}

func (s *stage) annotate(app, annotation, value string) {
	s.Helper()
	s.patch(&oamv1.Application{}, app, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, annotation, value))
}

// Somebody deletes the inventory; nothing of the Application is left behind all the same.
func TestLostInventory(t *testing.T) {
	s := newStage(t)
	lose := func() {
		t.Helper()
		tracker := &oamv1.ResourceTracker{ObjectMeta: metav1.ObjectMeta{Name: "app." + s.namespace}}
		if err := s.Delete(t.Context(), tracker); err != nil {
			t.Fatal(err)
		}
	}
	s.deploy("app", spec(configMap("a"), configMap("b")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	lose()
	s.deploy("app", spec(configMap("a")))
	s.gone(&corev1.ConfigMap{}, "b")
	s.eventually("app", phase(oamv1.PhaseRunning))
	lose()
	if err := s.Delete(t.Context(), there(s, &oamv1.Application{}, "app")); err != nil {
		t.Fatal(err)
	}
	s.gone(&oamv1.Application{}, "app")
	s.gone(&corev1.ConfigMap{}, "a")
}

// A published version stays as it is, whatever happens to the spec and to definitions, until
// another one is published.
func TestPublishedVersion(t *testing.T) {
	s := newStage(t)
	template := "output: {apiVersion: \"v1\", kind: \"ConfigMap\", data: k: parameter.k + \"%s\"}\nparameter: k: string"
	s.define("note", fmt.Sprintf(template, ""))
	note := func(text string) oamv1.ApplicationSpec {
		return spec(component{name: "n", typ: "note", properties: fmt.Sprintf(`{"k":%q}`, text)})
	}
	holds := func(want string) {
		t.Helper()
		testenv.Eventually(t, func(ctx context.Context) error {
			cm := &corev1.ConfigMap{}
			if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "n"}, cm); err != nil {
				return err
			}
			if cm.Data["k"] != want {
				return fmt.Errorf("k is %q, want %q", cm.Data["k"], want)
			}
			return nil
		})
	}
	app := &oamv1.Application{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: s.namespace,
		Annotations: map[string]string{oamv1.AnnotationPublishVersion: "one"}}, Spec: note("first")}
	if err := s.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	holds("first")
	s.eventually("app", condition("Revision", metav1.ConditionTrue, "app-v1"))
	s.patch(&oamv1.ComponentDefinition{}, "note", fmt.Sprintf(`{"spec":{"schematic":{"cue":{"template":%q}}}}`, fmt.Sprintf(template, "!")))
	s.deploy("app", note("second"))
	s.eventually("app", all(phase(oamv1.PhaseRunning), condition("Revision", metav1.ConditionTrue, "app-v1, pinned by the annotation")))
	holds("first")
	s.annotate("app", oamv1.AnnotationPublishVersion, "two")
	holds("second!")
	s.eventually("app", condition("Revision", metav1.ConditionTrue, "app-v2"))
}

// A version that is too large to be recorded is not applied, and the status says so.
func TestTooLargeToRecord(t *testing.T) {
	s := newStage(t)
	comment := "// " + strings.Repeat("x", 900_000)
	for _, name := range []string{"a", "b"} {
		s.define(name, comment+"\noutput: {apiVersion: \"v1\", kind: \"ConfigMap\"}")
	}
	s.deploy("app", spec(component{name: "a", typ: "a"}, component{name: "b", typ: "b"}))
	s.eventually("app", all(condition("Revision", metav1.ConditionFalse, "too large for one object: split the Application"),
		condition("Synced", metav1.ConditionFalse, "recording revision app-v1")))
	s.deploy("app", spec(component{name: "a", typ: "a"}))
	s.eventually("app", phase(oamv1.PhaseRunning))
}

// The namespace that a policy names may come after the Application.
func TestNamespaceComesLater(t *testing.T) {
	s := newStage(t)
	later := s.namespace + "-later"
	app := spec(configMap("a"))
	app.Policies = []oamv1.AppPolicy{{Name: "where", Type: "topology", Properties: &runtime.RawExtension{Raw: []byte(fmt.Sprintf(`{"namespace":%q}`, later))}}}
	s.deploy("app", app)
	s.eventually("app", condition("Applied", metav1.ConditionFalse, "not found"))
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: later}}
	if err := s.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Delete(context.Background(), ns) })
	s.eventually("app", phase(oamv1.PhaseRunning))
}

// When a kind is gone from the cluster, so are its objects: the Application can be deleted.
func TestKindGoesFirst(t *testing.T) {
	s := newStage(t)
	group := s.namespace + ".example.com"
	crd := boatDefinition(group)
	if err := s.Create(t.Context(), crd); err != nil {
		t.Fatal(err)
	}
	s.deploy("app", spec(boat(group, "b"), configMap("a")))
	s.eventually("app", phase(oamv1.PhaseRunning))
	if err := s.Delete(t.Context(), crd); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(crd), crd); client.IgnoreNotFound(err) != nil || err == nil {
			return fmt.Errorf("the kind is still there: %v", err)
		}
		return nil
	})
	if err := s.Delete(t.Context(), there(s, &oamv1.Application{}, "app")); err != nil {
		t.Fatal(err)
	}
	s.gone(&oamv1.Application{}, "app")
	s.gone(&corev1.ConfigMap{}, "a")
}

// A refused edit changes nothing of what runs, also where a template reads annotations.
func TestRefusedEditKeepsAnnotations(t *testing.T) {
	s := newStage(t)
	s.define("note", "output: {apiVersion: \"v1\", kind: \"ConfigMap\", data: k: *context.appAnnotations.note | \"none\"}")
	app := &oamv1.Application{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: s.namespace, Annotations: map[string]string{"note": "hello"}},
		Spec: spec(component{name: "n", typ: "note"})}
	if err := s.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	s.eventually("app", phase(oamv1.PhaseRunning))
	version := there(s, &corev1.ConfigMap{}, "n").ResourceVersion
	s.deploy("app", spec(component{name: "n", typ: "notes"}))
	s.eventually("app", condition("Synced", metav1.ConditionFalse, `there is no ComponentDefinition "notes"`))
	if cm := there(s, &corev1.ConfigMap{}, "n"); cm.Data["k"] != "hello" || cm.ResourceVersion != version {
		t.Errorf("the refused edit changed what runs: %v", cm.Data)
	}
}

// Whatever definitions say, it fits into the status.
func TestStatusStaysSmall(t *testing.T) {
	s := newStage(t)
	def := s.define("talker", "output: {apiVersion: \"v1\", kind: \"ConfigMap\"}")
	s.patch(def, "talker", `{"spec":{"status":{"customStatus":"message: \"é\" * 900000","details":"a: \"é\" * 900000"}}}`)
	s.deploy("app", spec(component{name: "x", typ: "talker"}))
	s.eventually("app", all(phase(oamv1.PhaseRunning), func(app *oamv1.Application) error {
		got := app.Status.Services[0]
		if n := len(got.Message) + len(got.Details["a"]); n < 1000 || n > 1200 || !strings.HasSuffix(got.Message, "é...") {
			return fmt.Errorf("%d bytes of message and details", n)
		}
		return nil
	}))
}
