// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// setStatus writes the status of the OAM Application shop.
func (w *world) setStatus(status map[string]any) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
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

const oamApplication = "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata:\n  name: shop\nspec:\n  components:\n  - {name: web, type: webservice, properties: {image: x}}\n"

// A revision with a mistake says nothing about what runs: it is neither to be pruned nor healthier than
// before.
func TestABadRevisionDoesNotHideWhatRuns(t *testing.T) {
	w := newWorld(t, true)
	w.push(map[string]string{path + "/application.yaml": oamApplication})
	w.deliver()
	w.setStatus(map[string]any{"status": "unhealthy", "services": []any{map[string]any{"name": "web", "healthy": false, "message": "ImagePullBackOff"}}})
	w.await(func(a *argov1alpha1.Application) error {
		if a.Status.Health.Status != argov1alpha1.HealthDegraded {
			return errors.New("it should be Degraded")
		}
		return nil
	})
	w.push(map[string]string{path + "/b.yaml": "apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}\n"})
	app := w.awaitCondition(argov1alpha1.ConditionComparisonError, "Nonsense")
	if h := app.Status.Health; h.Status != argov1alpha1.HealthDegraded {
		t.Errorf("health is %s (%s), want Degraded as before", h.Status, h.Message)
	}
	if len(app.Status.Resources) != 1 || app.Status.Resources[0].RequiresPruning || app.Status.Resources[0].Status != argov1alpha1.SyncStatusSynced {
		t.Errorf("resources are %+v, want the one that runs, as it was", app.Status.Resources)
	}
}

// A repository that takes connections and never answers is told within seconds, holds nothing else up, and
// what runs stays.
func TestARepositoryThatHangs(t *testing.T) {
	w := newWorld(t, false)
	first := w.push(map[string]string{path + "/a.yaml": configMap("a", "one")})
	w.deliver()
	w.awaitSynced(first)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &argov1alpha1.AppProject{}
	if err := w.host.Client.Get(t.Context(), client.ObjectKey{Namespace: w.ns, Name: project}, p); err != nil {
		t.Fatal(err)
	}
	p.Spec.SourceRepos = []string{"*"}
	if err := w.host.Client.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	w.edit(func(a *argov1alpha1.Application) { a.Spec.Source.RepoURL = "http://" + l.Addr().String() + "/shop.git" })
	w.awaitCondition(argov1alpha1.ConditionComparisonError, "repository not reachable", "no answer within")
	w.awaitValue("a", "one")
	w.edit(func(a *argov1alpha1.Application) { a.Spec.Source.RepoURL = w.repoURL() })
	w.awaitSynced(first)
}

// A branch that is deleted deletes nothing; one that is pushed by force is followed.
func TestABranchIsDeletedAndForced(t *testing.T) {
	w := newWorld(t, true)
	first := w.push(map[string]string{path + "/a.yaml": configMap("a", "one")})
	w.run(w.work, "push", "--quiet", "origin", "HEAD:live")
	w.deliver(func(a *argov1alpha1.Application) { a.Spec.Source.TargetRevision = "live" })
	w.awaitSynced(first)
	w.run(w.work, "push", "--quiet", "origin", ":live")
	app := w.awaitCondition(argov1alpha1.ConditionComparisonError, "spec.source.targetRevision", `"live"`)
	if len(app.Status.Resources) != 1 || app.Status.Sync.Status != argov1alpha1.SyncStatusUnknown {
		t.Errorf("sync %s, resources %v", app.Status.Sync.Status, app.Status.Resources)
	}
	w.awaitValue("a", "one")
	w.push(map[string]string{path + "/a.yaml": configMap("a", "two")})
	w.run(w.work, "push", "--quiet", "origin", "HEAD:live")
	w.awaitValue("a", "two")
	w.run(w.work, "reset", "--quiet", "--hard", first)
	w.run(w.work, "commit", "--quiet", "--allow-empty", "-m", "Another history")
	w.run(w.work, "push", "--quiet", "--force", "origin", "HEAD:live")
	w.awaitValue("a", "one")
	w.awaitSynced(w.run(w.work, "rev-parse", "HEAD"))
}

// An object leaves Git while its cluster does not answer. Nothing is forgotten: it is pruned when the cluster
// is back, and the condition says until then what is the matter.
func TestRemovedWhileTheClusterIsAway(t *testing.T) {
	w := newWorld(t, true)
	first := w.push(map[string]string{path + "/a.yaml": configMap("a", "one"), path + "/b.yaml": configMap("b", "one")})
	w.deliver()
	w.awaitSynced(first)
	w.clusterAt("https://127.0.0.1:1")
	second := w.push(map[string]string{path + "/b.yaml": ""})
	app := w.awaitCondition(argov1alpha1.ConditionComparisonError, "cluster shop is not reachable")
	if len(app.Status.Resources) != 2 {
		t.Errorf("resources are %+v, want both", app.Status.Resources)
	}
	w.awaitValue("b", "one")
	w.clusterAt(w.dest.Config.Host)
	w.awaitSynced(second)
	w.awaitValue("b", "")
	w.awaitValue("a", "one")
}

// clusterAt lets the cluster Secret name another server.
func (w *world) clusterAt(server string) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		secret := &corev1.Secret{}
		if err := w.host.Client.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: "cluster-shop"}, secret); err != nil {
			return err
		}
		secret.Data["server"] = []byte(server)
		return w.host.Client.Update(ctx, secret)
	})
}

// Two things of a revision depend on each other: one that the cluster refuses only when it is written stops the
// rest, and the status tells which objects were written and which were not.
func TestWhatWasWrittenIsTold(t *testing.T) {
	w := newWorld(t, true)
	w.push(map[string]string{path + "/a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + w.target + "-made}\n---\n" + strings.Replace(
		strings.Replace(configMap("in-new", "one"), "metadata:\n", "metadata:\n  namespace: "+w.target+"-made\n", 1), "  value: one", "  not a key: one", 1)})
	w.deliver(func(a *argov1alpha1.Application) { a.Spec.SyncPolicy.Retry = nil })
	app := w.awaitCondition(argov1alpha1.ConditionSyncError, "not a key")
	told := map[string]argov1alpha1.ResultCode{}
	for _, r := range app.Status.OperationState.SyncResult.Resources {
		told[r.Kind] = r.Status
	}
	if told["Namespace"] != argov1alpha1.ResultSynced || told["ConfigMap"] != argov1alpha1.ResultSyncFailed {
		t.Errorf("told is %v; the Namespace was written, the ConfigMap was not", told)
	}
	ns := &corev1.Namespace{}
	if err := w.dest.Client.Get(t.Context(), client.ObjectKey{Name: w.target + "-made"}, ns); err != nil {
		t.Errorf("the namespace: %v", err)
	}
}

// Somebody who looks at the Application's events reads what happened, each thing once.
func TestEventsTellWhatHappened(t *testing.T) {
	w := newWorld(t, true)
	w.push(map[string]string{path + "/a.yaml": configMap("a", "one")})
	w.deliver()
	w.awaitEvents("OperationCompleted", "ResourceUpdated")
	w.push(map[string]string{path + "/a.yaml": "a: [\n"})
	w.awaitEvents("OperationCompleted", "ResourceUpdated", argov1alpha1.ConditionComparisonError)
}

// awaitEvents waits until there are events about the Application with all the reasons.
func (w *world) awaitEvents(reasons ...string) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		list := &corev1.EventList{}
		if err := w.host.Client.List(ctx, list, client.InNamespace(w.ns), client.MatchingFields{"involvedObject.name": appName}); err != nil {
			return err
		}
		var have []string
		for i := range list.Items {
			have = append(have, list.Items[i].Reason)
		}
		for _, reason := range reasons {
			if !slices.Contains(have, reason) {
				return fmt.Errorf("there is no event %s among %v", reason, have)
			}
		}
		return nil
	})
}
