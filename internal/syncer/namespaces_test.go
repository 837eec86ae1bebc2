// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

func namespaceEnds(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "ends")
	w.open(t, ns)
	await[platformv1alpha1.VirtualNamespace](t, w.host.Client, w.vc, ns, nil)
	create(t, w.host.Client, simpleService(hostNS, "of-a-chart"))
	await[corev1.Service](t, w.virtual.Client, ns, "of-a-chart", nil)

	// The namespace controller, which does not run here, would delete the content.
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
	if err := w.virtual.Client.Delete(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	if err := w.host.Client.Get(t.Context(), client.ObjectKey{Namespace: w.vc, Name: ns}, &platformv1alpha1.VirtualNamespace{}); err != nil {
		t.Errorf("the host namespace went before what is in it: %v", err)
	}
	opens := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "opens"}}
	if err := w.virtual.Client.Delete(t.Context(), opens); err != nil {
		t.Fatal(err)
	}
	gone(t, w.host.Client, &platformv1alpha1.VirtualNamespace{}, w.vc, ns)
	gone(t, w.virtual.Client, &corev1.Service{}, ns, "of-a-chart")
	await(t, w.virtual.Client, "", ns, func(n *corev1.Namespace) error {
		return want(len(n.Finalizers) == 0, "finalizers are %v", n.Finalizers)
	})
}
