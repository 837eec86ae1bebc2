// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/gitops"
	"github.com/skerry-platform/skerry/internal/repo/gitserver"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func (w *world) awaitGone() {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		app, err := w.app(ctx)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the Application is still there: %+v %w", app.Status.Conditions, err)
	})
}

func TestByHand(t *testing.T) {
	w := newWorld(t, false)
	first := w.push(map[string]string{path + "/a.yaml": configMap("a", "one"), path + "/b.yaml": configMap("b", "one")})
	w.deliver(func(a *argov1alpha1.Application) { a.Spec.SyncPolicy.Automated = nil })
	w.await(func(a *argov1alpha1.Application) error {
		if a.Status.Sync.Status != argov1alpha1.SyncStatusOutOfSync || a.Status.Health.Status != argov1alpha1.HealthMissing {
			return errors.New("it should be OutOfSync and Missing")
		}
		return nil
	})
	w.awaitValue("a", "")

	t.Log("The operation field applies.")
	w.edit(func(a *argov1alpha1.Application) {
		a.Operation = &argov1alpha1.Operation{Sync: &argov1alpha1.SyncOperation{}, InitiatedBy: argov1alpha1.OperationInitiator{Username: "ann"}}
	})
	app := w.awaitSynced(first)
	if app.Operation != nil || app.Status.OperationState.Operation.InitiatedBy.Username != "ann" {
		t.Errorf("operation = %v, state = %+v", app.Operation, app.Status.OperationState)
	}

	t.Log("Without a webhook the refresh annotation shows the new revision; nothing is applied or pruned.")
	second := w.push(map[string]string{path + "/a.yaml": configMap("a", "two"), path + "/b.yaml": ""})
	w.edit(func(a *argov1alpha1.Application) {
		a.Annotations = map[string]string{argov1alpha1.AnnotationRefresh: argov1alpha1.RefreshNormal}
	})
	w.await(func(a *argov1alpha1.Application) error {
		if a.Status.Sync.Revision != second || a.Status.Sync.Status != argov1alpha1.SyncStatusOutOfSync || a.Annotations[argov1alpha1.AnnotationRefresh] != "" {
			return errors.New("it should be OutOfSync at " + second)
		}
		return nil
	})
	w.awaitValue("a", "one")

	t.Log("An operation without prune leaves what left the repository.")
	w.edit(func(a *argov1alpha1.Application) {
		a.Operation = &argov1alpha1.Operation{Sync: &argov1alpha1.SyncOperation{}}
	})
	w.awaitValue("a", "two")
	w.await(func(a *argov1alpha1.Application) error {
		if len(a.Status.Resources) != 2 || !a.Status.Resources[1].RequiresPruning || a.Status.OperationState.Phase != argov1alpha1.OperationSucceeded {
			return errors.New("b should require pruning")
		}
		return nil
	})
	w.awaitValue("b", "one")
	w.edit(func(a *argov1alpha1.Application) {
		a.Operation = &argov1alpha1.Operation{Sync: &argov1alpha1.SyncOperation{Prune: true}}
	})
	w.awaitSynced(second)
	w.awaitValue("b", "")

	t.Log("An older revision can be asked for.")
	w.edit(func(a *argov1alpha1.Application) {
		a.Operation = &argov1alpha1.Operation{Sync: &argov1alpha1.SyncOperation{Revision: first}}
	})
	w.awaitValue("b", "one")
	w.await(func(a *argov1alpha1.Application) error {
		if a.Status.Sync.Revision != second || a.Status.Sync.Status != argov1alpha1.SyncStatusOutOfSync {
			return errors.New("compared with the target revision it should be OutOfSync")
		}
		return nil
	})
}

// An engine that was killed between writing the inventory and the end of a sync left an
// object that no revision has any more; the next engine finds it in the inventory.
func TestARestartGoesOnWhereItStopped(t *testing.T) {
	w := newWorld(t, true)
	first := w.push(map[string]string{path + "/a.yaml": configMap("a", "one")})
	w.awaitDelivered(first)
	w.stopEngine()

	ghost := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "ghost", "namespace": w.target},
		"data": map[string]any{"value": "boo"},
	}}
	if err := w.dest.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(ghost), client.FieldOwner("argocd-controller")); err != nil {
		t.Fatal(err)
	}
	w.edit(func(a *argov1alpha1.Application) {
		a.Status.Resources = append(a.Status.Resources, argov1alpha1.ResourceStatus{Version: "v1", Kind: "ConfigMap", Namespace: w.target, Name: "ghost"})
		a.Status.OperationState.Phase, a.Status.OperationState.FinishedAt = argov1alpha1.OperationRunning, nil
	})
	second := w.push(map[string]string{path + "/a.yaml": configMap("a", "two")})
	w.startEngine()
	app := w.awaitSynced(second)
	if len(app.Status.Resources) != 1 {
		t.Errorf("resources = %+v, want a alone", app.Status.Resources)
	}
	err := w.dest.Client.Get(t.Context(), client.ObjectKeyFromObject(ghost), ghost)
	if !apierrors.IsNotFound(err) {
		t.Errorf("the object of the interrupted sync is still there (%v)", err)
	}
}

func TestDeletionWaitsAndDoesNotHang(t *testing.T) {
	t.Run("for an object that is held", func(t *testing.T) {
		w := newWorld(t, false)
		manifest := strings.Replace(configMap("a", "one"), "metadata:\n", "metadata:\n  finalizers: [example.org/hold]\n", 1)
		w.awaitDelivered(w.push(map[string]string{path + "/a.yaml": manifest}))
		w.deleteApp()
		w.awaitCondition(argov1alpha1.ConditionDeletionProgress, "ConfigMap "+w.target+"/a")
		cm := &corev1.ConfigMap{}
		if err := w.dest.Client.Get(t.Context(), client.ObjectKey{Namespace: w.target, Name: "a"}, cm); err != nil {
			t.Fatal(err)
		}
		cm.Finalizers = nil
		if err := w.dest.Client.Update(t.Context(), cm); err != nil {
			t.Fatal(err)
		}
		w.awaitGone()
	})
	t.Run("when the cluster Secret is gone", func(t *testing.T) {
		w := newWorld(t, false)
		w.awaitDelivered(w.push(map[string]string{path + "/a.yaml": configMap("a", "one")}))
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "cluster-shop"}}
		if err := w.host.Client.Delete(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		w.deleteApp()
		w.awaitGone()
		w.awaitValue("a", "one")
	})
	t.Run("when the cluster does not answer any more", func(t *testing.T) {
		w := newWorld(t, false)
		w.awaitDelivered(w.push(map[string]string{path + "/a.yaml": configMap("a", "one")}))
		secret := &corev1.Secret{}
		if err := w.host.Client.Get(t.Context(), client.ObjectKey{Namespace: w.ns, Name: "cluster-shop"}, secret); err != nil {
			t.Fatal(err)
		}
		secret.Data["server"] = []byte("https://127.0.0.1:1")
		if err := w.host.Client.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		w.awaitCondition(argov1alpha1.ConditionComparisonError, "cluster shop is not reachable")
		w.awaitCondition(argov1alpha1.ConditionDestinationUnreachable)
		w.deleteApp()
		w.awaitGone()
	})
}

func (w *world) awaitDelivered(revision string) {
	w.t.Helper()
	w.deliver()
	w.awaitSynced(revision)
}

func (w *world) deleteApp() {
	w.t.Helper()
	app, err := w.app(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.host.Client.Delete(w.t.Context(), app); err != nil {
		w.t.Fatal(err)
	}
}

func TestWebhookRefusesWhatIsNotSigned(t *testing.T) {
	hook := gitops.NewWebhook(func(context.Context) ([]byte, error) { return []byte("key"), nil })
	for name, c := range map[string]struct {
		method, signature, body string
		want                    int
	}{
		"no signature":    {"POST", "", "{}", http.StatusForbidden},
		"wrong signature": {"POST", "sha256=00", "{}", http.StatusForbidden},
		"sha1":            {"POST", "sha1=", "{}", http.StatusForbidden},
		"GET":             {"GET", "", "", http.StatusMethodNotAllowed},
		"not running":     {"POST", gitserver.Sign([]byte("key"), []byte("{}")), "{}", http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
			req.Header.Set("X-Hub-Signature-256", c.signature)
			req.Header.Set("X-GitHub-Event", "push")
			rec := httptest.NewRecorder()
			hook.ServeHTTP(rec, req)
			if rec.Code != c.want {
				t.Errorf("answered %d %s, want %d", rec.Code, rec.Body, c.want)
			}
		})
	}
}
