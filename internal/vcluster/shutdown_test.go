// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/etcd"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// TestDeletionWalksBack plays the pool member and the registration.
func TestDeletionWalksBack(t *testing.T) {
	h := startHost(t)
	vc := virtualCluster("leaving")
	controllerutil.AddFinalizer(vc, v1alpha1.FinalizerControlPlane)
	controllerutil.AddFinalizer(vc, v1alpha1.FinalizerRegistration)
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	vns := &v1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: "leaving", Name: "default"}}
	if err := h.Client.Create(t.Context(), vns); err != nil {
		t.Fatal(err)
	}
	h.namespaceCondition(vns, metav1.ConditionTrue, "")
	release := h.release("leaving--default", "db")
	if _, err := h.etcd.As(etcd.RootUser).Put(t.Context(), vc.Status.EtcdPrefix+"registry/x", "y"); err != nil {
		t.Fatal(err)
	}

	held := vc.DeepCopy()
	if err := h.Client.Delete(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	says := func(what string) {
		t.Helper()
		testenv.Eventually(t, func(context.Context) error {
			c := h.clusterCondition(vc, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting)
			if !strings.Contains(c.Message, what) {
				return fmt.Errorf("Ready says %q, want %q", c.Message, what)
			}
			return nil
		})
	}
	says("cluster Secret of the GitOps engine")
	if c := status.Get(vc.Status.Conditions, v1alpha1.ConditionDrained); c == nil || c.Reason != reasonDrainSkipped {
		t.Errorf("Drained is %+v, want it skipped: the control plane never served", c)
	}
	if !status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionPrepared) {
		t.Error("the pool member was told to stop before the registration was gone")
	}
	h.change(vc, func() { controllerutil.RemoveFinalizer(vc, v1alpha1.FinalizerRegistration) })
	says("to stop the control plane")
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionFalse, v1alpha1.ReasonDeleting)
	h.change(vc, func() { controllerutil.RemoveFinalizer(vc, v1alpha1.FinalizerControlPlane) })
	says("waiting for Releases to be uninstalled: db")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "leaving--default"}}
	if h.get("", ns.Name, ns); ns.DeletionTimestamp != nil {
		t.Error("the host namespace is being deleted before its Release is uninstalled")
	}
	h.change(release, func() { release.SetFinalizers(nil) })
	h.gone(vc)
	h.gone(ns)
	h.gone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "leaving"}})
	for _, told := range []struct{ reason, says string }{
		{v1alpha1.ConditionPrepared, "control plane Secret"}, {v1alpha1.ReasonCreating, "pool member"},
		{v1alpha1.ReasonDeleting, "waiting for"}, {reasonDeleted, "nothing of it is left"},
	} {
		h.event(held, told.reason, told.says)
	}
	left, err := h.etcd.As(etcd.RootUser).Get(t.Context(), vc.Status.EtcdPrefix, clientv3.WithPrefix())
	if err != nil || left.Count != 0 {
		t.Errorf("%d keys are left in etcd (%v)", left.Count, err)
	}
}

// TestDeletionDoesNotHangOnADeadControlPlane: it was said to serve, but nobody answers.
func TestDeletionDoesNotHangOnADeadControlPlane(t *testing.T) {
	h := startHost(t)
	vc := virtualCluster("wreck")
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	h.change(vc, func() { controllerutil.AddFinalizer(vc, v1alpha1.FinalizerRegistration) })
	h.changeStatus(vc, func() {
		status.Set(&vc.Status.Conditions, vc.Generation, v1alpha1.ConditionControlPlaneReady, metav1.ConditionTrue, "Test", "")
	})
	config, err := (store{direct: h.Client}).tenantConfig(t.Context(), vc)
	if err != nil {
		t.Fatal(err)
	}
	if config.Proxy == nil {
		t.Error("a proxy of the environment stands between the operator and the virtual cluster")
	} else if proxy, err := config.Proxy(&http.Request{}); proxy != nil || err != nil {
		t.Errorf("the virtual cluster is reached through %s, %v", proxy, err)
	}
	if err := h.Client.Delete(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	c := h.clusterCondition(vc, v1alpha1.ConditionDrained, metav1.ConditionTrue, reasonDrainSkipped)
	if !strings.Contains(c.Message, "did not answer") {
		t.Errorf("Drained says %q, want why it was skipped", c.Message)
	}
	h.change(vc, func() { controllerutil.RemoveFinalizer(vc, v1alpha1.FinalizerRegistration) })
	h.gone(vc)
}
