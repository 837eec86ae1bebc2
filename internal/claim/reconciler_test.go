// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// One claim goes through every stage, is told each, and is ready at the end.
func TestClaimBecomesReadyStageByStage(t *testing.T) {
	w := newWorld(t, time.Hour)
	const name = "whole-way"
	w.ask(w.namespace, name)
	w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonCreating, "RepositoriesReady", "Repository "+w.namespace+"/"+name)
	w.repositoryReady(name)
	w.repositoryReady(name + "-gitops")
	w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonCreating, "EnvironmentReady", "VirtualCluster "+name)
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: w.argo, Name: name + "-oam"}, &argov1alpha1.Application{}); !apierrors.IsNotFound(err) {
		t.Fatalf("the delivery exists before there is anywhere to deliver to: %v", err)
	}
	w.clusterReady(name)
	project := eventually(w, &argov1alpha1.AppProject{}, w.argo, name, exists)
	if got := project.Spec.SourceRepos; len(got) != 1 || got[0] != "http://git/skerry/"+name+"-gitops.git" {
		t.Errorf("the project allows %v", got)
	}
	w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonCreating, "Delivered", "Application "+w.argo+"/"+name+"-oam")
	w.delivered(name, argov1alpha1.HealthProgressing, "Application default/"+name+": Release "+name+"-db-postgresql: installing")
	w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonCreating, "ComponentsHealthy", "installing")
	w.delivered(name, argov1alpha1.HealthHealthy, "")
	claim := w.ready(w.namespace, name, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	if !claim.Status.Ready || claim.Status.Environment != name || claim.Status.GitOps.Revision != "0123456789" || len(claim.Status.Infrastructure) != 2 {
		t.Errorf("status: %+v", claim.Status)
	}
	if len(claim.Status.Stages) != 6 {
		t.Errorf("stages: %+v", claim.Status.Stages)
	}
	env := eventually(w, &v1alpha1.VClusterEnvironmentClaim{}, w.namespace, name, exists)
	if !env.Status.Ready || env.Status.AdminCredentials == nil || env.Status.AdminCredentials.SecretRef.Name != "vc-"+name {
		t.Errorf("environment: %+v", env.Status)
	}

	// A push that breaks it is told; it was ready before, so it is Unavailable now.
	w.delivered(name, argov1alpha1.HealthDegraded, "Application default/"+name+": components[0].traits[0].replicas: is \"many\"")
	w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonUnavailable, `is "many"`)
}

// Deletion walks backwards, one stage at a time, and says what it waits for.
func TestDeletionInOrder(t *testing.T) {
	w := newWorld(t, time.Hour)
	const name = "goes-away"
	claim := w.ask(w.namespace, name)
	w.repositoryReady(name)
	w.repositoryReady(name + "-gitops")
	w.clusterReady(name)
	w.delivered(name, argov1alpha1.HealthHealthy, "")
	w.ready(w.namespace, name, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	vc := eventually(w, &v1alpha1.VirtualCluster{}, "", name, exists)
	vc.Finalizers = []string{v1alpha1.FinalizerCleanup}
	if err := w.Client.Update(t.Context(), vc); err != nil {
		t.Fatal(err)
	}

	w.delete(claim)
	w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonDeleting, "waiting for Application", name+"-oam", "is deleted with what is left")
	delivery := eventually(w, &argov1alpha1.Application{}, w.argo, name+"-oam", func(a *argov1alpha1.Application) error {
		if a.DeletionTimestamp.IsZero() {
			return fmt.Errorf("not deleted")
		}
		return nil
	})
	eventually(w, &argov1alpha1.AppProject{}, w.argo, name, exists)
	eventually(w, &v1alpha1.VirtualCluster{}, "", name, func(v *v1alpha1.VirtualCluster) error {
		if !v.DeletionTimestamp.IsZero() {
			return fmt.Errorf("deleted before the application left it")
		}
		return nil
	})
	w.letGo(delivery)
	gone(w, &argov1alpha1.AppProject{}, w.argo, name)
	vc = eventually(w, &v1alpha1.VirtualCluster{}, "", name, func(v *v1alpha1.VirtualCluster) error {
		if v.DeletionTimestamp.IsZero() {
			return fmt.Errorf("not deleted")
		}
		return nil
	})
	w.play(vc, func() {
		status.Set(&vc.Status.Conditions, vc.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, "waiting for the control plane to stop")
	})
	w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonDeleting, "VirtualCluster "+name+": waiting for the control plane to stop")
	eventually(w, &v1alpha1.Repository{}, w.namespace, name, exists)
	w.letGo(vc)
	gone(w, &v1alpha1.VClusterEnvironmentClaim{}, w.namespace, name)
	gone(w, &v1alpha1.Repository{}, w.namespace, name)
	gone(w, &v1alpha1.Repository{}, w.namespace, name+"-gitops")
	gone(w, &v1alpha1.ApplicationClaim{}, w.namespace, name)
}

// A virtual cluster that no longer answers does not keep its own deletion from happening.
func TestDeletionDoesNotWaitForever(t *testing.T) {
	w := newWorld(t, 500*time.Millisecond)
	const name = "stuck"
	claim := w.ask(w.namespace, name)
	w.repositoryReady(name)
	w.repositoryReady(name + "-gitops")
	w.clusterReady(name)
	eventually(w, &argov1alpha1.Application{}, w.argo, name+"-oam", exists)
	w.delete(claim) // nobody plays the GitOps engine
	gone(w, &v1alpha1.ApplicationClaim{}, w.namespace, name)
	gone(w, &argov1alpha1.Application{}, w.argo, name+"-oam")
	gone(w, &v1alpha1.VirtualCluster{}, "", name)
}

// The first claim keeps the name; the second is told, makes nothing, and gets the name when it is free.
func TestTwoClaimsForOneName(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	const name = "wanted"
	first := w.ask(w.namespace, name)
	eventually(w, &v1alpha1.Repository{}, w.namespace, name, exists)
	other := w.Namespace(t)
	w.ask(other, name)
	w.ready(other, name, metav1.ConditionFalse, v1alpha1.ReasonWaiting, "taken by ApplicationClaim "+w.namespace+"/"+name)
	if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: other, Name: name}, &v1alpha1.Repository{}); !apierrors.IsNotFound(err) {
		t.Errorf("the second claim made a repository: %v", err)
	}
	w.delete(first)
	gone(w, &v1alpha1.ApplicationClaim{}, w.namespace, name)
	eventually(w, &v1alpha1.Repository{}, other, name, exists)
	second := w.ready(other, name, metav1.ConditionFalse, v1alpha1.ReasonCreating)
	w.delete(second)
	gone(w, &v1alpha1.ApplicationClaim{}, other, name)
}

// What cannot be is refused with words, and nothing is made.
func TestRefusals(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "by-hand"}}
	if err := w.Client.Create(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Client.Delete(context.Background(), vc) })
	t.Run("a reserved name", func(t *testing.T) {
		w.ask(w.namespace, "kube-thing")
		w.ready(w.namespace, "kube-thing", metav1.ConditionFalse, v1alpha1.ReasonWaiting, "reserved")
	})
	t.Run("a virtual cluster that is not ours", func(t *testing.T) {
		claim := w.ask(w.namespace, "by-hand")
		w.ready(w.namespace, "by-hand", metav1.ConditionFalse, v1alpha1.ReasonCreating,
			"VClusterEnvironmentClaim "+w.namespace+"/by-hand", "was not made for a claim", "label it")
		w.delete(claim)
		gone(w, &v1alpha1.ApplicationClaim{}, w.namespace, "by-hand")
		eventually(w, &v1alpha1.VirtualCluster{}, "", "by-hand", exists)
	})
}

// A paused claim is left alone until it is not paused any more.
func TestPaused(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	const name = "paused"
	claim := &v1alpha1.ApplicationClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Annotations: map[string]string{v1alpha1.AnnotationPaused: "true"}},
		Spec:       v1alpha1.ApplicationClaimSpec{Name: name, Language: "go"},
	}
	if err := w.Client.Create(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	claim = eventually(w, claim, w.namespace, name, func(c *v1alpha1.ApplicationClaim) error {
		if s := status.Get(c.Status.Conditions, v1alpha1.ConditionSynced); s == nil || s.Reason != v1alpha1.ReasonReconcilePaused {
			return fmt.Errorf("Synced is %+v", s)
		}
		return nil
	})
	before := claim.DeepCopy()
	claim.Annotations = nil
	if err := w.Client.Patch(t.Context(), claim, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	eventually(w, &v1alpha1.Repository{}, w.namespace, name, exists)
	w.delete(claim)
	gone(w, &v1alpha1.ApplicationClaim{}, w.namespace, name)
}

// Two applications share an environment; the one that it was made for goes last.
func TestSharedEnvironment(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	owner := w.ask(w.namespace, "owner")
	eventually(w, &v1alpha1.VClusterEnvironmentClaim{}, w.namespace, "owner", exists)
	guest := &v1alpha1.ApplicationClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "guest"},
		Spec: v1alpha1.ApplicationClaimSpec{Name: "guest", Language: "go", TargetVCluster: "owner"}}
	if err := w.Client.Create(t.Context(), guest); err != nil {
		t.Fatal(err)
	}
	eventually(w, &v1alpha1.Repository{}, w.namespace, "guest-gitops", exists)
	w.delete(owner)
	w.ready(w.namespace, "owner", metav1.ConditionFalse, v1alpha1.ReasonDeleting, "ApplicationClaim "+w.namespace+"/guest still runs in environment owner")
	w.delete(guest)
	gone(w, &v1alpha1.ApplicationClaim{}, w.namespace, "guest")
	gone(w, &v1alpha1.ApplicationClaim{}, w.namespace, "owner")
	gone(w, &v1alpha1.VirtualCluster{}, "", "owner")
}

// The size of a claim is that of the environment that it makes, and follows it; an environment that
// was there before keeps what it has.
func TestSizeOfTheEnvironment(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	claim := func(name string, change func(*v1alpha1.ApplicationClaimSpec)) *v1alpha1.ApplicationClaim {
		c := &v1alpha1.ApplicationClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
			Spec: v1alpha1.ApplicationClaimSpec{Name: name, Language: "go"}}
		change(&c.Spec)
		return c
	}
	has := func(size string) func(*v1alpha1.VClusterEnvironmentClaim) error {
		return func(e *v1alpha1.VClusterEnvironmentClaim) error {
			if e.Spec.Size != size {
				return fmt.Errorf("its size is %s, want %s", e.Spec.Size, size)
			}
			return nil
		}
	}
	sized := claim("sized", func(s *v1alpha1.ApplicationClaimSpec) { s.Size = "large" })
	if err := w.Client.Create(t.Context(), sized); err != nil {
		t.Fatal(err)
	}
	eventually(w, &v1alpha1.VClusterEnvironmentClaim{}, w.namespace, "sized", has("large"))
	before := sized.DeepCopy()
	sized.Spec.Size = "small"
	if err := w.Client.Patch(t.Context(), sized, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	eventually(w, &v1alpha1.VClusterEnvironmentClaim{}, w.namespace, "sized", has("small"))

	own := &v1alpha1.VClusterEnvironmentClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "own"},
		Spec: v1alpha1.VClusterEnvironmentClaimSpec{Name: "own", Size: "xlarge"}}
	if err := w.Client.Create(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	joining := claim("own", func(s *v1alpha1.ApplicationClaimSpec) { s.Size = "small" })
	if err := w.Client.Create(t.Context(), joining); err != nil {
		t.Fatal(err)
	}
	w.ready(w.namespace, "own", metav1.ConditionFalse, v1alpha1.ReasonWaiting, "its size is xlarge, not small", "edit vclusterenvironmentclaim own")
	eventually(w, own, w.namespace, "own", has("xlarge"))
	if own.Labels[v1alpha1.LabelClaim] != "" {
		t.Errorf("the environment was taken over: %v", own.Labels)
	}

	err := w.Client.Create(t.Context(), claim("guest", func(s *v1alpha1.ApplicationClaimSpec) { s.Size, s.TargetVCluster = "small", "own" }))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "leave size out here") {
		t.Errorf("a size for another's environment: %v", err)
	}
	for _, c := range []client.Object{sized, joining} {
		w.delete(c)
		gone(w, &v1alpha1.ApplicationClaim{}, w.namespace, c.GetName())
	}
	eventually(w, own, w.namespace, "own", exists)
	w.delete(own)
	gone(w, own, w.namespace, "own")
}
