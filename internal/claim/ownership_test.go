// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// What somebody else made a moment ago, which the cache does not have yet, is not taken over.
func TestWriterTakesNothingOver(t *testing.T) {
	env := testenv.Start(t)
	ns := env.Namespace(t)
	theirs := &v1alpha1.Repository{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "shop"}, Spec: v1alpha1.RepositorySpec{Name: "theirs", Role: v1alpha1.RepositorySource}}
	if err := env.Client.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	ours := &v1alpha1.Repository{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "shop", Labels: map[string]string{v1alpha1.LabelClaim: ns + ".shop"}},
		Spec: v1alpha1.RepositorySpec{Name: "ours", Role: v1alpha1.RepositorySource}}
	w := writer{applier: apply.New(env.Client, fieldOwner), live: env.Client, scheme: env.Scheme}
	if err := w.write(t.Context(), []client.Object{ours}, nil); err == nil || !strings.Contains(err.Error(), "made by somebody else") {
		t.Errorf("got %v", err)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(theirs), theirs); err != nil || theirs.Spec.Name != "theirs" || theirs.Labels != nil {
		t.Errorf("%+v, %v", theirs, err)
	}
}

// Whoever widens what an application may deliver is corrected.
func TestProjectIsRepaired(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	const name = "widened"
	claim := w.ask(w.namespace, name)
	w.repositoryReady(name)
	w.repositoryReady(name + "-gitops")
	w.clusterReady(name)
	project := eventually(w, &argov1alpha1.AppProject{}, w.argo, name, exists)
	before := project.DeepCopy()
	project.Spec.SourceRepos = append(project.Spec.SourceRepos, "*")
	if err := w.Client.Patch(t.Context(), project, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	eventually(w, project, w.argo, name, func(p *argov1alpha1.AppProject) error {
		if len(p.Spec.SourceRepos) != 1 {
			return fmt.Errorf("it allows %v", p.Spec.SourceRepos)
		}
		return nil
	})
	w.delete(claim)
	gone(w, claim, w.namespace, name)
}

// The claim's last word decides about its repositories, also when it was said just before the deletion.
func TestDeletionPolicyOfTheLastMoment(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	const name = "last-word"
	claim := w.ask(w.namespace, name)
	change := func(f func()) {
		t.Helper()
		eventually(w, claim, w.namespace, name, exists)
		before := claim.DeepCopy()
		f()
		if err := w.Client.Patch(t.Context(), claim, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	repo := eventually(w, &v1alpha1.Repository{}, w.namespace, name, exists)
	before := repo.DeepCopy()
	repo.Finalizers = []string{v1alpha1.FinalizerCleanup}
	if err := w.Client.Patch(t.Context(), repo, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	// While it is paused, nothing hands on the change: as if the operator were away.
	change(func() { claim.Annotations = map[string]string{v1alpha1.AnnotationPaused: "true"} })
	change(func() { claim.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	w.delete(claim)
	change(func() { delete(claim.Annotations, v1alpha1.AnnotationPaused) })
	repo = eventually(w, &v1alpha1.Repository{}, w.namespace, name, func(r *v1alpha1.Repository) error {
		if r.DeletionTimestamp.IsZero() {
			return fmt.Errorf("it is not being deleted")
		}
		return nil
	})
	if repo.Spec.DeletionPolicy != v1alpha1.DeletionDelete {
		t.Errorf("it is deleted with policy %s", repo.Spec.DeletionPolicy)
	}
	w.letGo(repo)
	gone(w, claim, w.namespace, name)
}

// An environment that is deleted waits for what runs in it, and an application cannot move: data would be lost.
func TestEnvironmentWaitsForItsApplications(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	env := &v1alpha1.VClusterEnvironmentClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "lab"},
		Spec: v1alpha1.VClusterEnvironmentClaimSpec{Name: "lab"}}
	if err := w.Client.Create(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	app := &v1alpha1.ApplicationClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "tenant"},
		Spec: v1alpha1.ApplicationClaimSpec{Name: "tenant", Language: "go", TargetVCluster: "lab"}}
	if err := w.Client.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	eventually(w, &v1alpha1.Repository{}, w.namespace, "tenant", exists)
	eventually(w, app, w.namespace, "tenant", exists)
	for _, target := range []string{"", "elsewhere"} {
		before := app.DeepCopy()
		app.Spec.TargetVCluster = target
		if err := w.Client.Patch(t.Context(), app, client.MergeFrom(before)); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "targetVCluster cannot be changed") {
			t.Errorf("moving to %q: %v", target, err)
		}
	}
	w.delete(env)
	eventually(w, env, w.namespace, "lab", func(e *v1alpha1.VClusterEnvironmentClaim) error {
		for _, c := range e.Status.Conditions {
			if c.Reason == v1alpha1.ReasonDeleting && strings.Contains(c.Message, "tenant still runs in it; delete it first") {
				return nil
			}
		}
		return fmt.Errorf("conditions: %+v", e.Status.Conditions)
	})
	eventually(w, &v1alpha1.VirtualCluster{}, "", "lab", exists)
	w.ready(w.namespace, "tenant", metav1.ConditionFalse, v1alpha1.ReasonCreating, "waits for this application to be deleted")
	w.delete(app)
	gone(w, app, w.namespace, "tenant")
	gone(w, env, w.namespace, "lab")
	gone(w, &v1alpha1.VirtualCluster{}, "", "lab")
}

// Two applications in one environment have no component of the same name: the one that runs it keeps it, and
// the other gets the name when it is free.
func TestComponentsOfOneEnvironment(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	app := func(name string, services ...string) *v1alpha1.ApplicationClaim {
		c := &v1alpha1.ApplicationClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
			Spec: v1alpha1.ApplicationClaimSpec{Name: name, Language: "go", TargetVCluster: "front"}}
		for _, s := range services {
			c.Spec.Services = append(c.Spec.Services, v1alpha1.ServiceRequest{Name: s, Type: "redis"})
		}
		if err := w.Client.Create(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	services := func(c *v1alpha1.ApplicationClaim, names ...string) {
		t.Helper()
		eventually(w, c, w.namespace, c.Name, exists)
		before := c.DeepCopy()
		c.Spec.Services = nil
		for _, s := range names {
			c.Spec.Services = append(c.Spec.Services, v1alpha1.ServiceRequest{Name: s, Type: "redis"})
		}
		if err := w.Client.Patch(t.Context(), c, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	front := app("front")
	w.ready(w.namespace, "front", metav1.ConditionFalse, v1alpha1.ReasonCreating)
	back := app("back", "sessions")
	w.ready(w.namespace, "back", metav1.ConditionFalse, v1alpha1.ReasonCreating)
	services(front, "sessions")
	w.ready(w.namespace, "front", metav1.ConditionFalse, v1alpha1.ReasonWaiting, "back has a component \"sessions\" already")
	w.ready(w.namespace, "back", metav1.ConditionFalse, v1alpha1.ReasonCreating)
	services(back)
	w.ready(w.namespace, "front", metav1.ConditionFalse, v1alpha1.ReasonCreating)
	for _, c := range []client.Object{back, front} {
		w.delete(c)
		gone(w, c, w.namespace, c.GetName())
	}
}
