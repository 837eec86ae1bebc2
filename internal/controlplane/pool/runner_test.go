// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// newMember is a member whose runners the test takes single steps with.
func newMember(t *testing.T, env *testenv.Env, name string) *pool {
	t.Helper()
	clients, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	return &pool{
		Options: Options{Namespace: env.Namespace(t), Member: name},
		ctx:     t.Context(), client: env.Client, live: env.Client, clients: clients, runners: map[string]*runner{},
	}
}

// A virtual cluster that a person paused just before a member won its Lease is served when
// it is not paused any more.
func TestServesWhatWasPausedWhenItWonTheLease(t *testing.T) {
	env := testenv.Start(t)
	vc := &platformv1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "paused-", Annotations: map[string]string{platformv1alpha1.AnnotationPaused: "true"},
	}}
	if err := env.Client.Create(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	status.Set(&vc.Status.Conditions, vc.Generation, platformv1alpha1.ConditionPrepared, metav1.ConditionTrue, "Test", "")
	if err := env.Client.Status().Update(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	p := newMember(t, env, "skerry-pool-0")
	r := newRunner(p, vc.Name, vc.UID)
	p.runners[vc.Name] = r
	watching, err := client.NewWithWatch(env.Config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	p.live = interceptor.NewClient(watching, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, k, obj, opts...)
			if reads++; reads > 1 || err != nil {
				return err
			}
			// Right behind the first read the person is done.
			now := vc.DeepCopy()
			now.Annotations = nil
			if err := c.Patch(ctx, now, client.MergeFrom(vc)); err != nil {
				return err
			}
			_, err = p.Reconcile(ctx, ctrl.Request{NamespacedName: k})
			return err
		},
	})
	patient, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	defer cancel()
	if claimed, err := r.claim(patient); err != nil || claimed == nil {
		t.Errorf("the member that has the Lease does not serve it: %v, %v", claimed, err)
	}
	if err := env.Client.Patch(t.Context(), vc, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.Delete(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
}

// The Lease of a virtual cluster that is gone may belong to another member already, which serves the
// next one of the name.
func TestDeletesNoLeaseThatAnotherMemberHas(t *testing.T) {
	env := testenv.Start(t)
	p := newMember(t, env, "skerry-pool-0")
	for holder, stays := range map[string]bool{"skerry-pool-0": false, "": false, "skerry-pool-1": true} {
		r := newRunner(p, "again", "of-the-one-before")
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: r.leaseName()}}
		if holder != "" { // else it was released
			lease.Spec.HolderIdentity = ptr.To(holder)
		}
		if err := env.Client.Create(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		r.deleteLease(t.Context())
		err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(lease), lease)
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		if (err == nil) != stays {
			t.Errorf("the Lease of %q: %v; it stays: %v", holder, err, stays)
		}
		if err := client.IgnoreNotFound(env.Client.Delete(t.Context(), lease)); err != nil {
			t.Fatal(err)
		}
	}
}
