// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// awaitCached waits until the tenant's own view has a VirtualNamespace.
func awaitCached(t *testing.T, tenant *tenant, ns string) {
	t.Helper()
	testenv.Eventually(t, func(ctx context.Context) error {
		vns, err := find[platformv1alpha1.VirtualNamespace](ctx, tenant.spaces.home, tenant.spaces.key(ns))
		if err != nil {
			return err
		}
		return want(vns != nil && isReady(vns), "the cache has not seen it")
	})
}

// hostNamespaceNeverOpens deletes a VirtualNamespace that never became ready, while a Service waits to hear of it.
func hostNamespaceNeverOpens(t *testing.T, w *world) {
	ns, _ := w.namespace(t, "never-opens")
	vns := &platformv1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.vc, Name: ns, Annotations: map[string]string{operatorAway: "true"},
	}}
	create(t, w.host.Client, vns)
	service := simpleService(ns, "web")
	service.Finalizers = []string{platformv1alpha1.FinalizerHost} // as admission adds it
	w.stop()
	create(t, w.virtual.Client, service)
	if err := w.virtual.Client.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	stopped := backlog(t)
	w.start(t)
	// When what comes from a new namespace is done, the Service has been looked at.
	marker, hostMarker := w.namespace(t, "never-opens-marker")
	create(t, w.virtual.Client, simpleService(marker, "web"))
	await[corev1.Service](t, w.host.Client, hostMarker, "web", nil)
	awaitIdle(t, stopped)
	if err := w.host.Client.Delete(t.Context(), vns); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Service{}, ns, "web")
}

// hostNamespaceUnreadable opens a host namespace of which the tenant may not read all that it watches.
func hostNamespaceUnreadable(t *testing.T, w *world, tenant *tenant) {
	in := lagsSpace(w)
	tenant.spaces.patience = 100 * time.Millisecond
	tenant.spaces.subscriptions = []*subscription{{
		object: &corev1.ServiceAccount{}, // which no tenant may read
		hostKeys: func(namespace string, _ client.Object) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace}}}
		},
	}}
	opened := make(chan error, 1)
	go func() { opened <- tenant.spaces.openSpace(t.Context(), t.Context(), in.virtual) }()
	select {
	case err := <-opened:
		if err == nil {
			t.Errorf("host namespace %s counts as read", in.host)
		}
	case <-time.After(testenv.Patience):
		t.Error("one host namespace holds up its worker for ever")
	}
}
