// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// Whoever waits for an environment's name hears of the end of the claim, which comes after that of its
// VirtualCluster.
func TestTheNameOfAnEnvironmentIsPassedOn(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	const name = "passed-on"
	namespaces := []string{w.namespace, w.Namespace(t)}
	slices.Sort(namespaces) // of two from the same second, the first by name is the older
	env := func(namespace string) *v1alpha1.VClusterEnvironmentClaim {
		return &v1alpha1.VClusterEnvironmentClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: v1alpha1.VClusterEnvironmentClaimSpec{Name: name}}
	}
	waits := func(claim *v1alpha1.VClusterEnvironmentClaim, message string) {
		t.Helper()
		eventually(w, claim, claim.Namespace, name, func(e *v1alpha1.VClusterEnvironmentClaim) error {
			if c := status.Get(e.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Reason != v1alpha1.ReasonWaiting || c.Message != message {
				return errors.New("it does not wait yet, or for something else")
			}
			return nil
		})
	}
	first, second := env(namespaces[0]), env(namespaces[1])
	first.Finalizers = []string{"example.org/hold"}
	if err := w.Client.Create(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	eventually(w, &v1alpha1.VirtualCluster{}, "", name, exists)
	if err := w.Client.Create(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	waits(second, "spec.name: VirtualCluster "+name+" was made for VClusterEnvironmentClaim "+first.Namespace+"/"+name+"; choose another name")
	w.delete(first)
	waits(second, `spec.name: "`+name+`" is taken by VClusterEnvironmentClaim `+first.Namespace+"/"+name+"; choose another name")
	eventually(w, first, first.Namespace, name, exists)
	w.letGo(first)
	eventually(w, &v1alpha1.VirtualCluster{}, "", name, func(vc *v1alpha1.VirtualCluster) error {
		if !made(vc, second) {
			return errors.New("it was not made for the second")
		}
		return nil
	})
	w.delete(second)
	gone(w, second, second.Namespace, name)
}

// What stands in an application's way is waited for, whoever made it.
func TestAnApplicationGoesOnWhenItsNamesAreFree(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	const name = "in-the-way"
	repo := &v1alpha1.Repository{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name + "-gitops"},
		Spec: v1alpha1.RepositorySpec{Name: "by-hand", Role: v1alpha1.RepositoryGitOps}}
	project := &argov1alpha1.AppProject{ObjectMeta: metav1.ObjectMeta{Namespace: w.argo, Name: name,
		Labels: map[string]string{v1alpha1.LabelClaim: "elsewhere.gone"}}}
	delivery := &argov1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: w.argo, Name: name + "-oam"}}
	for _, o := range []client.Object{repo, project, delivery} {
		if err := w.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	claim := w.ask(w.namespace, name)
	for _, in := range []struct {
		way  client.Object
		says string
	}{
		{repo, "Repository " + w.namespace + "/" + name + "-gitops exists and it was not made by the platform"},
		{project, "AppProject " + w.argo + "/" + name + " exists and it was made for claim elsewhere/gone"},
		{delivery, "Application " + w.argo + "/" + name + "-oam exists and it was not made by the platform"},
	} {
		w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonWaiting, in.says)
		w.delete(in.way)
	}
	w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonCreating)
	w.delete(claim)
	gone(w, claim, w.namespace, name)
}

// A conflict about a child is tried again: no event of the claim need follow.
func TestAConflictIsTriedAgain(t *testing.T) {
	env := testenv.Start(t)
	claim := &v1alpha1.VClusterEnvironmentClaim{Spec: v1alpha1.VClusterEnvironmentClaimSpec{Name: "clash"},
		ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: "clash", Finalizers: []string{v1alpha1.FinalizerCleanup}}}
	vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "clash", Labels: map[string]string{v1alpha1.LabelClaim: label(claim)}}}
	for _, o := range []client.Object{claim, vc} {
		if err := env.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if err := env.Client.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(env.Config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	conflicts := 2
	clashing := interceptor.NewClient(c, interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if conflicts--; conflicts >= 0 {
				return apierrors.NewConflict(schema.GroupResource{Resource: "virtualclusters"}, o.GetName(), errors.New("it is another by now"))
			}
			return c.Delete(ctx, o, opts...)
		},
	})
	r := &environmentReconciler{remover: remover{client: clashing, live: env.Client, events: teller{events.NewFakeRecorder(10)}}}
	for n := range 2 {
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(claim)})
		if err != nil || result.RequeueAfter == 0 {
			t.Fatalf("try %d: %+v, %v; want another try", n, result, err)
		}
	}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(claim)}); err != nil {
		t.Error(err)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(claim), claim); !apierrors.IsNotFound(err) {
		t.Errorf("the claim is still there: %v", err)
	}
}
