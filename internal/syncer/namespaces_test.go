// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func namespaceEnds(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "ends")
	w.open(t, ns)
	await[platformv1alpha1.VirtualNamespace](t, w.host.Client, w.vc, ns, nil)
	create(t, w.host.Client, simpleService(hostNS, "of-a-chart"))
	await[corev1.Service](t, w.virtual.Client, ns, "of-a-chart", nil)

	// A host that is slow to let a Service go holds everything.
	slow := await[corev1.Service](t, w.host.Client, hostNS, "opens", nil)
	update(t, w.host.Client, slow, func() { slow.Finalizers = []string{"example.com/slow"} })
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
	if err := w.virtual.Client.Delete(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	await(t, w.host.Client, hostNS, "opens", func(s *corev1.Service) error { return want(s.DeletionTimestamp != nil, "not being deleted") })
	await(t, w.host.Client, w.vc, ns, func(vns *platformv1alpha1.VirtualNamespace) error {
		if vns.DeletionTimestamp != nil {
			t.Error("the host namespace went before what is in it")
		}
		return nil
	})
	update(t, w.host.Client, slow, func() { slow.Finalizers = nil })
	gone(t, w.host.Client, &platformv1alpha1.VirtualNamespace{}, w.vc, ns)
	gone(t, w.virtual.Client, &corev1.Service{}, ns, "of-a-chart")
	gone(t, w.virtual.Client, &corev1.Namespace{}, "", ns)
	gone(t, w.host.Client, &corev1.Namespace{}, "", hostNS)
}

// namespaceAnew deletes a namespace and makes it again as soon as the API server lets it.
func namespaceAnew(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "anew-namespace")
	create(t, w.virtual.Client, simpleService(ns, "web"))
	await[corev1.Service](t, w.host.Client, hostNS, "web", nil)
	before := await[corev1.Namespace](t, w.host.Client, "", hostNS, nil)
	if err := w.virtual.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		return w.virtual.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	})
	create(t, w.virtual.Client, simpleService(ns, "web"))
	await[corev1.Service](t, w.host.Client, hostNS, "web", nil)
	after := await[corev1.Namespace](t, w.host.Client, "", hostNS, nil)
	if after.UID == before.UID {
		t.Error("the namespace made anew shares the host namespace of the one before it")
	}
}
