// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
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
		"option":     {func(a *argov1alpha1.Application) { a.Spec.SyncPolicy.SyncOptions = []string{"Replace=true"} }, argov1alpha1.ConditionInvalidSpecError, []string{"syncOptions", `"Replace=true"`}},
		"differences": {func(a *argov1alpha1.Application) {
			a.Spec.IgnoreDifferences = []argov1alpha1.ResourceIgnoreDifferences{{Kind: "ConfigMap", JSONPointers: []string{"/data"}}}
		}, argov1alpha1.ConditionInvalidSpecError, []string{"spec.ignoreDifferences"}},
		"path":     {func(a *argov1alpha1.Application) { a.Spec.Source.Path = "nowhere" }, argov1alpha1.ConditionComparisonError, []string{"spec.source.path", `"nowhere"`}},
		"revision": {func(a *argov1alpha1.Application) { a.Spec.Source.TargetRevision = "v9" }, argov1alpha1.ConditionComparisonError, []string{"spec.source.targetRevision", `"v9"`}},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.edit(func(a *argov1alpha1.Application) {
				a.Spec.Project = project
				a.Spec.Source = &argov1alpha1.ApplicationSource{RepoURL: w.repoURL(), Path: path, TargetRevision: "main"}
				a.Spec.Destination.Name = cluster
				a.Spec.SyncPolicy.SyncOptions, a.Spec.IgnoreDifferences = nil, nil
				c.change(a)
			})
			w.awaitCondition(c.typ, c.want...)
		})
	}
	w.t = t
	p := &argov1alpha1.AppProject{}
	if err := w.host.Client.Get(t.Context(), client.ObjectKey{Namespace: w.ns, Name: project}, p); err != nil {
		t.Fatal(err)
	}
	p.Spec.SyncWindows = []apiextensionsv1.JSON{{Raw: []byte(`{"kind":"deny","schedule":"* * * * *","duration":"24h","applications":["*"]}`)}}
	if err := w.host.Client.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	w.edit(func(a *argov1alpha1.Application) {
		a.Spec.Source = &argov1alpha1.ApplicationSource{RepoURL: w.repoURL(), Path: path, TargetRevision: "main"}
		a.Spec.Destination.Name, a.Spec.SyncPolicy.SyncOptions, a.Spec.IgnoreDifferences = cluster, nil, nil
	})
	w.awaitCondition(argov1alpha1.ConditionInvalidSpecError, "spec.syncWindows")
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
	w.awaitCondition(argov1alpha1.ConditionRepositoryUnreachable)
	if app.Status.Sync.Status != argov1alpha1.SyncStatusUnknown || len(app.Status.Resources) != 1 {
		t.Errorf("sync = %s, resources = %v; want Unknown and the one that runs", app.Status.Sync.Status, app.Status.Resources)
	}
	w.awaitValue("a", "one")
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
