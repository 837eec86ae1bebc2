// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/etcd"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// TestKilledAfterAnyWrite kills the controllers after each number of writes on the way there, and
// again on the way back; the next ones finish the work.
func TestKilledAfterAnyWrite(t *testing.T) {
	h := startIdle(t)
	for n := int64(0); n < 24; n += 3 {
		t.Run(fmt.Sprint(n, " writes"), func(t *testing.T) {
			h.t = t
			vc := virtualCluster(fmt.Sprint("killed-", n))
			h.counts = vc.Name // the clusters of other tests have writes of their own
			vc.Spec.Quota = &v1alpha1.Quota{CPU: quantity("1")}
			vns := &v1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: vc.Name, Name: "default"}}
			h.create(vc)
			h.life(t, n)
			stop := h.operate(t, -1)
			h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
			if err := h.Client.Create(t.Context(), vns); err != nil {
				t.Fatal(err)
			}
			h.namespaceCondition(vns, metav1.ConditionTrue, "")
			stop()

			if err := h.Client.Delete(t.Context(), vc); err != nil {
				t.Fatal(err)
			}
			h.life(t, n)
			stop = h.operate(t, -1)
			defer stop()
			h.gone(vc)
			h.gone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.HostNamespace(vc.Name, "default")}})
			left, err := h.etcd.As(etcd.RootUser).Get(t.Context(), etcd.TenantRoot+vc.Name, clientv3.WithPrefix())
			if err != nil || left.Count != 0 {
				t.Errorf("%d keys are left in etcd (%v)", left.Count, err)
			}
		})
	}
}

// life runs the controllers until they have written as often as they may, or have nothing to write.
func (h *host) life(t *testing.T, writes int64) {
	t.Helper()
	before := h.writes.Load()
	stop := h.operate(t, writes)
	defer stop()
	last, quiet := before, 0
	for h.writes.Load()-before <= writes && quiet < 5 {
		if now := h.writes.Load(); now != last {
			last, quiet = now, 0
		}
		quiet++
		<-time.After(50 * time.Millisecond)
	}
}

// A home namespace of an earlier life is waited for, not less and not longer.
func TestWaitsForANamespaceThatIsBeingDeleted(t *testing.T) {
	h := startHost(t)
	old := homeNamespace("revenant")
	old.Finalizers = []string{"example.org/hold"}
	if err := h.Client.Create(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := h.Client.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	vc := virtualCluster("revenant")
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionFalse, reasonTerminating)
	h.change(old, func() { old.Finalizers = nil })
	began := time.Now()
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	if took := time.Since(began); took > retryBlocked-time.Second { // a slow machine may need some of that
		t.Errorf("it took %s to notice that the namespace is gone", took)
	}
}

// A namespace that does not go says why on the VirtualCluster, in its own words.
func TestTellsWhatHoldsANamespace(t *testing.T) {
	h := startHost(t)
	vc := h.tenantCluster("stuck", "1", "default")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "stuck--default"}}
	h.change(ns, func() { ns.Finalizers = []string{"example.org/hold"} })
	if err := h.Client.Delete(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := h.Client.Get(ctx, client.ObjectKeyFromObject(ns), ns); err != nil {
			return err
		}
		if ns.DeletionTimestamp == nil || len(ns.Spec.Finalizers) > 0 {
			return fmt.Errorf("the namespace is not being deleted yet, or its controller still writes its conditions")
		}
		return nil
	})
	const why = "Some resources are remaining: widgets.example.org has 1 resource instances"
	h.changeStatus(ns, func() {
		ns.Status.Conditions = []corev1.NamespaceCondition{{
			Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionTrue, Reason: "SomeResourcesRemain", Message: why, LastTransitionTime: metav1.Now(),
		}}
	})
	testenv.Eventually(t, func(context.Context) error {
		c := h.clusterCondition(vc, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting)
		if !strings.Contains(c.Message, why) || !strings.Contains(c.Message, ns.Name) {
			return fmt.Errorf("Ready says %q", c.Message)
		}
		return nil
	})
	h.change(ns, func() { ns.Finalizers = nil })
	h.gone(vc)
}
