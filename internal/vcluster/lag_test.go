// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// remembering reads through get, as a cache that lags does; it writes to the API server.
func remembering(t *testing.T, env *testenv.Env, get func(c client.Client, key client.ObjectKey, obj client.Object) error) store {
	t.Helper()
	c, err := client.NewWithWatch(env.Config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	lagging := interceptor.NewClient(c, interceptor.Funcs{
		Get: func(_ context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
			return get(c, key, obj)
		},
	})
	return store{Client: lagging, direct: env.Client}
}

// A namespace of ours that went while we looked, and that somebody else made again, is not taken over.
func TestANamespaceThatWentMeanwhileIsNotTakenOver(t *testing.T) {
	env := testenv.Start(t)
	theirs := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "passing"}}
	if err := env.Client.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	reads := 0
	s := remembering(t, env, func(_ client.Client, key client.ObjectKey, obj client.Object) error {
		if reads++; reads > 1 {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, key.Name)
		}
		ours := homeNamespace(key.Name)
		ours.UID = "0f0f0f0f-0000-0000-0000-000000000000"
		ours.DeepCopyInto(obj.(*corev1.Namespace))
		return nil
	})
	if err := s.claimNamespace(t.Context(), homeNamespace("passing")); err == nil {
		t.Error("no error, want one, and another try")
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(theirs), theirs); err != nil || theirs.Labels[labelManagedBy] != "" {
		t.Errorf("the namespace was taken over: %v, %v", theirs.Labels, err)
	}
}

// The tenant's rights that went while we looked come back when the quota is enforced, not before.
func TestTheTenantDoesNotComeBackBeforeItsQuota(t *testing.T) {
	env := testenv.Start(t)
	vc, vns := virtualCluster("ajar"), &v1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: "ajar", Name: "default"}}
	vc.Spec.Quota = &v1alpha1.Quota{CPU: quantity("1")}
	opts := Options{}
	opts.complete()
	door := admission(vc, vns, opts)
	for _, o := range []client.Object{homeNamespace("ajar"), vc} {
		if err := env.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { _ = env.Client.Delete(t.Context(), vc) }() // the next tests would prepare it
	reads := 0
	s := remembering(t, env, func(c client.Client, key client.ObjectKey, obj client.Object) error {
		if binding, is := obj.(*rbacv1.RoleBinding); is && key == client.ObjectKeyFromObject(door) {
			if reads++; reads == 1 {
				door.(*rbacv1.RoleBinding).DeepCopyInto(binding)
				binding.UID = "0f0f0f0f-0000-0000-0000-000000000000"
				return nil
			}
		}
		return c.Get(t.Context(), key, obj)
	})
	r := &namespaceReconciler{client: env.Client, store: s, opts: opts, events: events.NewFakeRecorder(10)}
	if _, err := r.provide(t.Context(), vns); !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict, and another try", err)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(door), door); !apierrors.IsNotFound(err) {
		t.Errorf("the tenant is in, and no quota is there: %v", err)
	}
	if waiting, err := r.provide(t.Context(), vns); waiting == "" || err != nil {
		t.Errorf("waiting for %q, %v; want the quota", waiting, err)
	}
}

// A home namespace that the cache does not have yet is no stranger's.
func TestAHomeNamespaceThatTheCacheLacksIsOurs(t *testing.T) {
	env := testenv.Start(t)
	if err := env.Client.Create(t.Context(), homeNamespace("unseen")); err != nil {
		t.Fatal(err)
	}
	foreign := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "unseen-foreign"}}
	if err := env.Client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	s := remembering(t, env, func(_ client.Client, key client.ObjectKey, _ client.Object) error {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, key.Name)
	})
	if err := s.requireHome(t.Context(), "unseen"); err != nil {
		t.Error(err)
	}
	var b blocked
	for _, name := range []string{foreign.Name, "unseen-absent"} {
		if err := s.requireHome(t.Context(), name); !errors.As(err, &b) || b.reason != reasonNamespaceTaken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a drain came to is not written on a later VirtualCluster of the same name: it would be left undrained.
func TestADrainIsOfOneVirtualCluster(t *testing.T) {
	env := testenv.Start(t)
	old, later := virtualCluster("namesake"), virtualCluster("namesake")
	old.UID = "0f0f0f0f-0000-0000-0000-000000000000"
	if err := env.Client.Create(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = env.Client.Delete(t.Context(), later) }() // the next tests would prepare it
	d := &drainer{client: env.Client, store: store{Client: env.Client, direct: env.Client}, clock: clock.RealClock{}}
	for range 2 { // progress, then the result
		if err := d.report(t.Context(), old, metav1.ConditionTrue, reasonDrained, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(later), later); err != nil || status.Get(later.Status.Conditions, v1alpha1.ConditionDrained) != nil {
		t.Errorf("conditions %+v, %v", later.Status.Conditions, err)
	}
	if err := d.report(t.Context(), later, metav1.ConditionTrue, reasonDrained, ""); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(later), later); err != nil || !status.IsTrue(later.Status.Conditions, v1alpha1.ConditionDrained) {
		t.Errorf("conditions %+v, %v", later.Status.Conditions, err)
	}
}

// A status that was not written is written soon, also when there is nothing else to do for a while.
func TestABlockedObjectTellsSoWithoutDelay(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "virtualclusters"}, "x", errors.New("changed"))
	for _, c := range []struct {
		why     string
		written error
		want    ctrl.Result
	}{
		{"told", nil, ctrl.Result{RequeueAfter: retryBlocked}},
		{"somebody else wrote first", conflict, ctrl.Result{RequeueAfter: retryConflict}},
	} {
		if got, err := finish(t.Context(), ctrl.Result{}, blocked{reason: reasonNamespaceTaken}, c.written); got != c.want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", c.why, got, err, c.want)
		}
	}
}
