// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package apply_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/apply"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func configMap(namespace, name string, data map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"data": data}}
	o.SetAPIVersion("v1")
	o.SetKind("ConfigMap")
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

func data(t *testing.T, c client.Client, namespace, name string) map[string]string {
	t.Helper()
	cm := &corev1.ConfigMap{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, cm); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		t.Fatal(err)
	}
	return cm.Data
}

// Two renders of the same thing: what changed is written, what is no longer wanted goes, what
// somebody else made under an old entry's name stays.
func TestWhatIsNoLongerWantedGoes(t *testing.T) {
	env := testenv.Start(t)
	ns := env.Namespace(t)
	a := apply.New(env.Client, "test-owner")

	old, err := a.Apply(t.Context(), configMap(ns, "kept", map[string]any{"n": "1"}), configMap(ns, "dropped", nil))
	if err != nil {
		t.Fatal(err)
	}
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "foreign"}, Data: map[string]string{"of": "somebody"}}
	if err := env.Client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	old = apply.Union(old, apply.Inventory{{APIVersion: "v1", Kind: "ConfigMap", Namespace: ns, Name: "foreign"}})

	wanted, err := a.Apply(t.Context(), configMap(ns, "kept", map[string]any{"n": "2"}))
	if err != nil {
		t.Fatal(err)
	}
	remaining, err := a.Prune(t.Context(), old, wanted)
	if err != nil || len(remaining) > 0 {
		t.Fatalf("pruning left %v, error %v", remaining, err)
	}
	got := map[string]map[string]string{}
	for _, name := range []string{"kept", "dropped", "foreign"} {
		got[name] = data(t, env.Client, ns, name)
	}
	want := map[string]map[string]string{"kept": {"n": "2"}, "dropped": nil, "foreign": {"of": "somebody"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ConfigMaps (-want +got):\n%s", diff)
	}
}

// An object that the API server refuses stops its whole group before anything is written.
func TestOneRefusedObjectStopsAll(t *testing.T) {
	env := testenv.Start(t)
	ns := env.Namespace(t)
	bad := configMap(ns, "bad", nil)
	bad.Object["data"] = map[string]any{"not a key": "x"}
	_, err := apply.New(env.Client, "test-owner").Apply(t.Context(), configMap(ns, "good", map[string]any{"n": "1"}), bad)
	if err == nil || !strings.Contains(err.Error(), "bad") {
		t.Fatalf("error is %v, want one that names the object bad", err)
	}
	if got := data(t, env.Client, ns, "good"); got != nil {
		t.Errorf("good was written: %v", got)
	}
}

// What a finalizer holds is reported as remaining until it is gone.
func TestWhatIsHeldRemains(t *testing.T) {
	env := testenv.Start(t)
	ns := env.Namespace(t)
	a := apply.New(env.Client, "test-owner")
	held := configMap(ns, "held", nil)
	held.SetFinalizers([]string{"example.com/hold"})
	inv, err := a.Apply(t.Context(), held)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		remaining, err := a.Prune(t.Context(), inv, nil)
		if err != nil || len(remaining) != 1 {
			t.Fatalf("remaining is %v, error %v; want the held object", remaining, err)
		}
	}
	cm := &corev1.ConfigMap{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "held"}, cm); err != nil {
		t.Fatal(err)
	}
	cm.Finalizers = nil
	if err := env.Client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	if remaining, err := a.Prune(t.Context(), inv, nil); err != nil || len(remaining) != 0 {
		t.Errorf("remaining is %v, error %v; want none", remaining, err)
	}
}

// A password that YAML takes for a number is refused without being told.
func TestRefusalTellsNoValue(t *testing.T) {
	env := testenv.Start(t)
	ns := env.Namespace(t)
	secret := configMap(ns, "credentials", nil)
	secret.SetKind("Secret")
	for name, fields := range map[string]map[string]any{
		"a number":  {"stringData": map[string]any{"password": int64(31415926)}},
		"a boolean": {"stringData": map[string]any{"password": true}},
		"two":       {"stringData": map[string]any{"a": int64(31415926), "b": int64(31415926)}},
		"a struct":  {"data": map[string]any{"password": map[string]any{"is": "31415926"}}},
		"a list":    {"data": map[string]any{"password": []any{"31415926"}}},
		"not data":  {"data": map[string]any{"password": "31415926%"}},
		"a type":    {"type": map[string]any{"31415926": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := secret.DeepCopy()
			delete(o.Object, "data")
			for k, v := range fields {
				o.Object[k] = v
			}
			_, err := apply.New(env.Client, "test-owner").Apply(t.Context(), o)
			if err == nil || strings.Contains(err.Error(), "31415926") || !strings.Contains(err.Error(), "credentials") {
				t.Errorf("got %v, want an error that names the Secret and no value", err)
			}
		})
	}
}
