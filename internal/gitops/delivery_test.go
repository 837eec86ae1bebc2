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
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

func TestDelivery(t *testing.T) {
	w := twoClusters(t)
	first := w.push(map[string]string{path + "/a.yaml": configMap("a", "one"), path + "/deeper/c.yaml": configMap("c", "not read")})
	w.deliver()
	app := w.awaitSynced(first)
	w.awaitValue("a", "one")
	w.awaitValue("c", "")

	t.Log("The status is Argo CD's.")
	want := argov1alpha1.ApplicationStatus{
		Sync: argov1alpha1.SyncStatus{
			Status: argov1alpha1.SyncStatusSynced, Revision: first,
			ComparedTo: argov1alpha1.ComparedTo{Source: *app.Spec.Source, Destination: app.Spec.Destination},
		},
		Health: argov1alpha1.AppHealthStatus{Status: argov1alpha1.HealthHealthy},
		Resources: []argov1alpha1.ResourceStatus{{
			Version: "v1", Kind: "ConfigMap", Namespace: w.target, Name: "a", Status: argov1alpha1.SyncStatusSynced,
			Health: &argov1alpha1.HealthStatus{Status: argov1alpha1.HealthHealthy},
		}},
		History: []argov1alpha1.RevisionHistory{{Revision: first, Source: *app.Spec.Source, InitiatedBy: argov1alpha1.OperationInitiator{Automated: true}}},
		OperationState: &argov1alpha1.OperationState{
			Phase: argov1alpha1.OperationSucceeded, Message: "successfully synced",
			Operation: argov1alpha1.Operation{
				Sync:        &argov1alpha1.SyncOperation{Revision: first, Prune: true},
				InitiatedBy: argov1alpha1.OperationInitiator{Automated: true}, Retry: *app.Spec.SyncPolicy.Retry,
			},
			SyncResult: &argov1alpha1.SyncOperationResult{Revision: first, Source: *app.Spec.Source, Resources: []argov1alpha1.ResourceResult{{
				Version: "v1", Kind: "ConfigMap", Namespace: w.target, Name: "a", Status: argov1alpha1.ResultSynced, Message: "serverside-applied",
			}}},
		},
		SourceType: "Directory",
	}
	if diff := cmp.Diff(want, app.Status, cmpopts.IgnoreTypes(metav1.Time{}, &metav1.Time{})); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	cm := &corev1.ConfigMap{}
	if err := w.dest.Client.Get(t.Context(), client.ObjectKey{Namespace: w.target, Name: "a"}, cm); err != nil {
		t.Fatal(err)
	}
	if id := cm.Annotations[argov1alpha1.AnnotationTrackingID]; id != "shop-oam:/ConfigMap:"+w.target+"/a" {
		t.Errorf("tracking id = %q", id)
	}

	t.Log("A push is live in less than a second, and what left the repository is pruned.")
	began := time.Now()
	second := w.push(map[string]string{path + "/a.yaml": configMap("a", "two"), path + "/b.yaml": configMap("b", "new")})
	pushed := time.Since(began)
	w.awaitValue("a", "two")
	t.Logf("push %s, then live after %s", pushed, time.Since(began)-pushed)
	w.awaitSynced(second)
	third := w.push(map[string]string{path + "/a.yaml": ""})
	app = w.awaitSynced(third)
	w.awaitValue("a", "")
	if len(app.Status.Resources) != 1 || app.Status.Resources[0].Name != "b" {
		t.Errorf("resources after pruning = %+v", app.Status.Resources)
	}
	if n := len(app.Status.History); n != 3 || app.Status.History[2].ID != 2 {
		t.Errorf("history = %+v", app.Status.History)
	}

	t.Log("What somebody changes or deletes on the cluster is put back.")
	if err := w.dest.Client.Get(t.Context(), client.ObjectKey{Namespace: w.target, Name: "b"}, cm); err != nil {
		t.Fatal(err)
	}
	cm.Data["value"] = "by hand"
	if err := w.dest.Client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	w.awaitValue("b", "new")
	if err := w.dest.Client.Delete(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	w.awaitValue("b", "new")
	w.awaitSynced(third)

	t.Log("A revision that would delete everything is not believed.")
	w.push(map[string]string{path + "/b.yaml": "# nothing\n"})
	w.awaitCondition(argov1alpha1.ConditionSyncError, "allowEmpty")
	w.awaitValue("b", "new")
	w.push(map[string]string{path + "/b.yaml": configMap("b", "again")})
	w.awaitValue("b", "again")

	t.Log("With the Application goes what it delivered.")
	app, err := w.app(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.host.Client.Delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	w.awaitGone()
	w.awaitValue("b", "")
}

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

func TestABadManifestAppliesNothing(t *testing.T) {
	w := newWorld(t, true)
	good := w.push(map[string]string{path + "/a.yaml": configMap("a", "one")})
	w.deliver()
	w.awaitSynced(good)

	cases := map[string]struct {
		content string
		typ     string
		want    []string
	}{
		"no YAML":                {"a: [\n", argov1alpha1.ConditionComparisonError, []string{path + "/b.yaml:", "no YAML"}},
		"no kind":                {"apiVersion: v1\nmetadata: {name: x}\n", argov1alpha1.ConditionComparisonError, []string{path + "/b.yaml:1", "kind: a text is expected"}},
		"unknown kind":           {"apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}\n", argov1alpha1.ConditionComparisonError, []string{path + "/b.yaml:1", "does not serve Nonsense"}},
		"refused by the cluster": {"---\napiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 70000}]}\n", argov1alpha1.ConditionSyncError, []string{path + "/b.yaml:2", "Service " + w.target + "/x", "spec.ports[0].port"}},
		"not permitted":          {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\n", argov1alpha1.ConditionInvalidSpecError, []string{path + "/b.yaml:1", "clusterResourceWhitelist"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.push(map[string]string{path + "/a.yaml": configMap("a", "with "+strings.ReplaceAll(name, " ", "-")), path + "/b.yaml": c.content})
			w.awaitCondition(c.typ, c.want...)
			w.awaitValue("a", "one")
		})
	}
	w.t = t
	t.Log("It heals when it is corrected.")
	fixed := w.push(map[string]string{path + "/a.yaml": configMap("a", "two"), path + "/b.yaml": configMap("b", "one")})
	w.awaitSynced(fixed)
	w.awaitValue("a", "two")
}

func TestWhatTheProjectDoesNotAllow(t *testing.T) {
	w := newWorld(t, false)
	w.push(map[string]string{path + "/a.yaml": configMap("a", "one")})
	w.deliver(func(app *argov1alpha1.Application) { app.Spec.Project = "missing" })
	w.awaitCondition(argov1alpha1.ConditionInvalidSpecError, "spec.project", "missing")
	for name, c := range map[string]struct {
		change func(*argov1alpha1.Application)
		typ    string
		want   []string
	}{
		"repository": {func(a *argov1alpha1.Application) { a.Spec.Source.RepoURL = w.git + "/skerry/other.git" }, argov1alpha1.ConditionInvalidSpecError, []string{"spec.source.repoURL", "spec.sourceRepos"}},
		"cluster":    {func(a *argov1alpha1.Application) { a.Spec.Destination.Name = "elsewhere" }, argov1alpha1.ConditionInvalidSpecError, []string{"spec.destination", "no cluster elsewhere"}},
		"chart":      {func(a *argov1alpha1.Application) { a.Spec.Source.Chart = "redis" }, argov1alpha1.ConditionInvalidSpecError, []string{"Helm charts"}},
		"path":       {func(a *argov1alpha1.Application) { a.Spec.Source.Path = "nowhere" }, argov1alpha1.ConditionComparisonError, []string{"spec.source.path", `"nowhere"`}},
		"revision":   {func(a *argov1alpha1.Application) { a.Spec.Source.TargetRevision = "v9" }, argov1alpha1.ConditionComparisonError, []string{"spec.source.targetRevision", `"v9"`}},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.edit(func(a *argov1alpha1.Application) {
				a.Spec.Project = project
				a.Spec.Source = &argov1alpha1.ApplicationSource{RepoURL: w.repoURL(), Path: path, TargetRevision: "main"}
				a.Spec.Destination.Name = cluster
				c.change(a)
			})
			w.awaitCondition(c.typ, c.want...)
		})
	}
	w.t = t
	w.awaitValue("a", "")
}

func TestRepositoryTroubles(t *testing.T) {
	w := newWorld(t, false)
	first := w.push(map[string]string{path + "/a.yaml": configMap("a", "one")})
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: w.ns, Name: "repo-shop"}
	if err := w.host.Client.Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	password := secret.Data["password"]
	secret.Data["password"] = []byte("wrong")
	if err := w.host.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	app := w.awaitCondition(argov1alpha1.ConditionComparisonError, "authentication failed", w.repoURL())
	if strings.Contains(fmt.Sprint(app.Status), "wrong") {
		t.Error("the status holds the password")
	}
	if app.Status.Health.Status != argov1alpha1.HealthUnknown {
		t.Errorf("health = %s, want Unknown", app.Status.Health.Status)
	}
	secret.Data["password"] = password
	if err := w.host.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.awaitSynced(first)

	w.edit(func(a *argov1alpha1.Application) { a.Spec.Source.RepoURL = "http://127.0.0.1:1/skerry/shop-gitops.git" })
	w.awaitCondition(argov1alpha1.ConditionInvalidSpecError, "spec.sourceRepos")
	p := &argov1alpha1.AppProject{}
	if err := w.host.Client.Get(t.Context(), client.ObjectKey{Namespace: w.ns, Name: project}, p); err != nil {
		t.Fatal(err)
	}
	p.Spec.SourceRepos = []string{"*"}
	if err := w.host.Client.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	app = w.awaitCondition(argov1alpha1.ConditionComparisonError, "repository not reachable")
	if app.Status.Sync.Status != argov1alpha1.SyncStatusUnknown || len(app.Status.Resources) != 1 {
		t.Errorf("sync = %s, resources = %v; want Unknown and the one that runs", app.Status.Sync.Status, app.Status.Resources)
	}
	w.awaitValue("a", "one")
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

func TestHealthClimbs(t *testing.T) {
	w := newWorld(t, true)
	oam := "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata:\n  name: shop\nspec:\n  components:\n  - {name: web, type: webservice, properties: {image: x}}\n"
	first := w.push(map[string]string{path + "/application.yaml": oam})
	w.deliver()
	w.await(func(a *argov1alpha1.Application) error {
		if a.Status.Sync.Revision != first || a.Status.Sync.Status != argov1alpha1.SyncStatusSynced || a.Status.Health.Status != argov1alpha1.HealthProgressing {
			return errors.New("it should be Synced and Progressing")
		}
		return nil
	})
	setStatus := func(status map[string]any) {
		testenv.Eventually(t, func(ctx context.Context) error {
			o := &unstructured.Unstructured{}
			o.SetAPIVersion("core.oam.dev/v1beta1")
			o.SetKind("Application")
			if err := w.dest.Client.Get(ctx, client.ObjectKey{Namespace: w.target, Name: "shop"}, o); err != nil {
				return err
			}
			o.Object["status"] = status
			return w.dest.Client.Status().Update(ctx, o)
		})
	}
	setStatus(map[string]any{"status": "unhealthy", "services": []any{map[string]any{"name": "web", "healthy": false, "message": "0 of 1 pods are ready: ImagePullBackOff"}}})
	w.await(func(a *argov1alpha1.Application) error {
		if a.Status.Health.Status != argov1alpha1.HealthDegraded || a.Status.Health.Message != "Application shop: web: 0 of 1 pods are ready: ImagePullBackOff" {
			return errors.New("it should be Degraded with the component's message")
		}
		return nil
	})
	setStatus(map[string]any{"status": "running"})
	app := w.awaitSynced(first)
	if n := len(app.Status.History); n != 1 {
		t.Errorf("a change of status was taken for drift: %d deployments", n)
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
