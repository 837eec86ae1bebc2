// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// Somebody changes and deletes what a chart has made. It is put back as Helm has recorded it, with the
// password that was generated, and without a new revision.
func TestDriftIsRepaired(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", ""))
	w.playReady("db-postgresql")
	w.until("db-postgresql", all(deployedAt(1), condition("Ready", "True", "")))
	password := string(w.secret("db-binding").Data["password"])

	set := w.statefulSet("db-postgresql")
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":0,"template":{"metadata":{"labels":{"extra":"kept"}}}}}`))
	if err := w.Client.Patch(t.Context(), set, patch, client.FieldOwner("kubectl-edit")); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() error {
		if set := w.statefulSet("db-postgresql"); *set.Spec.Replicas != 1 || set.Spec.Template.Labels["extra"] != "kept" {
			return fmt.Errorf("replicas: %d, labels: %v", *set.Spec.Replicas, set.Spec.Template.Labels)
		}
		return nil
	})
	w.told("db-postgresql", "Repaired")

	if err := w.Client.Delete(t.Context(), w.secret("db-binding")); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		secret := &corev1.Secret{}
		if err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: "db-binding"}, secret); err != nil {
			return err
		}
		if string(secret.Data["password"]) != password {
			t.Fatal("the binding has another password")
		}
		return nil
	})
	w.playReady("db-postgresql")
	w.until("db-postgresql", all(deployedAt(1), condition("Ready", "True", "")))
}

// A repair that the API server refuses is made once it may be: nothing more happens to the object by then.
func TestARefusedRepairIsMadeLater(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", `{"text":"one"}`))
	w.until("app", deployedAt(1))
	w.restrict("configmaps", "get", "list", "watch")
	if err := w.Client.Delete(t.Context(), w.configMap("app")); err != nil {
		t.Fatal(err)
	}
	w.until("app", condition("Synced", "False", "ConfigMap app"))
	w.restrict("configmaps", "*")
	w.eventually(func() error {
		return w.Client.Get(t.Context(), client.ObjectKey{Namespace: w.ns, Name: "app"}, &corev1.ConfigMap{})
	})
	w.until("app", deployedAt(1))
}

// What drifted while no engine ran is found by the next one, also when nobody can fetch the chart.
func TestDriftWhileTheEngineWasAway(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", `{"text":"one"}`))
	w.until("app", deployedAt(1))
	w.kill()
	cm := w.configMap("app")
	cm.Data["text"] = "by hand"
	if err := w.Client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.eventually(func() error {
		if text := w.configMap("app").Data["text"]; text != "one" {
			return fmt.Errorf("the text is %q", text)
		}
		return nil
	})
	w.until("app", deployedAt(1))
}

// The catalog's charts, compared as a whole by a new engine, differ in nothing but what somebody changed: what the
// API server fills in is no drift.
func TestDefaultsAreNoDrift(t *testing.T) {
	charts := map[string]string{"db-postgresql": "db-postgresql", "cache-redis": "cache-redis-master"}
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", ""))
	w.create(w.releaseOf("cache-redis", "redis", "18.19.4", `{"replica":{"replicaCount":2},"architecture":"replication"}`))
	for name := range charts {
		w.until(name, deployedAt(1))
	}
	w.kill()
	for _, set := range charts {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":0}}`))
		if err := w.Client.Patch(t.Context(), w.statefulSet(set), patch); err != nil {
			t.Fatal(err)
		}
	}
	w.start()
	for name, set := range charts {
		w.told(name, "Repaired")
		events := &corev1.EventList{}
		if err := w.Client.List(t.Context(), events, client.InNamespace(w.ns), client.MatchingFields{"involvedObject.name": name, "reason": "Repaired"}); err != nil {
			t.Fatal(err)
		}
		for i := range events.Items {
			if note := events.Items[i].Message; !strings.HasSuffix(note, "StatefulSet "+set+": somebody changed spec.replicas") {
				t.Errorf("repaired: %s", note)
			}
		}
	}
}

// An upgrade takes back what somebody changed by hand in the meantime, instead of failing on a conflict of
// field managers.
func TestUpgradeTakesBackWhatWasChangedByHand(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", `{"text":"one"}`))
	w.until("app", deployedAt(1))
	w.kill()
	cm := w.configMap("app")
	cm.Data["text"] = "by hand"
	if err := w.Client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	w.change("app", func(rel *helmv1beta1.Release) { rel.Spec.ForProvider.Values.Raw = []byte(`{"text":"two"}`) })
	w.start()
	w.until("app", deployedAt(2))
	if text := w.configMap("app").Data["text"]; text != "two" {
		t.Errorf("the text is %q", text)
	}
}

// What an autoscaler decides is no drift.
func TestAnAutoscalersReplicasAreLeft(t *testing.T) {
	w := newWorld(t, Options{}).allow()
	w.create(w.releaseOf("db-postgresql", "postgresql", "13.2.24", ""))
	w.playReady("db-postgresql")
	w.until("db-postgresql", condition("Ready", "True", ""))
	set := w.statefulSet("db-postgresql")
	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 3}}
	if err := w.Client.SubResource("scale").Update(t.Context(), set, client.WithSubResourceBody(scale), client.FieldOwner(autoscaler)); err != nil {
		t.Fatal(err)
	}
	// A change of the chart's own comes after, and its repair shows that the engine has looked.
	image := set.Spec.Template.Spec.Containers[0].Image
	edit := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"other"}]`))
	if err := w.Client.Patch(t.Context(), set, edit); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() error {
		if got := w.statefulSet("db-postgresql").Spec.Template.Spec.Containers[0].Image; got != image {
			return fmt.Errorf("the image is %s", got)
		}
		return nil
	})
	if set := w.statefulSet("db-postgresql"); ptr.Deref(set.Spec.Replicas, 0) != 3 {
		t.Errorf("replicas: %d", *set.Spec.Replicas)
	}
}

// eventually is testenv.Eventually for what needs no context.
func (w *world) eventually(check func() error) {
	w.t.Helper()
	testenv.Eventually(w.t, func(context.Context) error { return check() })
}

func TestDiffering(t *testing.T) {
	live := map[string]any{"a": int64(1), "spec": map[string]any{"list": []any{"x"}, "same": true}}
	for name, c := range map[string]struct {
		other map[string]any
		want  string
	}{
		"equal":   {map[string]any{"a": int64(1), "spec": map[string]any{"list": []any{"x"}, "same": true}}, ""},
		"nested":  {map[string]any{"a": int64(1), "spec": map[string]any{"list": []any{"y"}, "same": true}}, "spec.list"},
		"missing": {map[string]any{"a": int64(1), "spec": map[string]any{"list": []any{"x"}}}, "spec.same"},
		"added":   {map[string]any{"a": int64(1), "b": "", "spec": map[string]any{"list": []any{"x"}, "same": true}}, "b"},
	} {
		if got := differing(live, c.other, ""); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
