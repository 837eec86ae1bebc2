// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

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
	began := time.Now()
	w.edit(func(a *argov1alpha1.Application) { a.Spec.Source.RepoURL = "http://" + l.Addr().String() + "/shop.git" })
	w.awaitCondition(argov1alpha1.ConditionComparisonError, "repository not reachable", "no answer within 2s")
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the condition took %s", took)
	}
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
