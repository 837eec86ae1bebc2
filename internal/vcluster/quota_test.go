// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestOneQuotaOverTwoNamespaces(t *testing.T) {
	h := startHost(t)
	vc := h.tenantCluster("reef", "2", "default", "shop")
	tenant := h.tenant()
	first := podOf("reef--default", "first", "1500m")
	began := time.Now()
	h.run(tenant, first) // more than half: the room comes from the other namespace
	t.Logf("room moved after %s", time.Since(began).Round(time.Millisecond))
	h.usage(vc, "1500m", "2")

	second := podOf("reef--shop", "second", "1")
	if err := tenant.Create(t.Context(), second.DeepCopy()); !apierrors.IsForbidden(err) {
		t.Fatalf("together they are above the total, and the second Pod got %v", err)
	}
	within := h.clusterCondition(vc, v1alpha1.ConditionWithinQuota, metav1.ConditionFalse, reasonQuotaExceeded)
	for _, says := range []string{"requested in shop: limits.cpu=1", "used: limits.cpu=1500m (default 1500m)", "limited: limits.cpu=2", "size or resources"} {
		if !strings.Contains(within.Message, says) {
			t.Errorf("WithinQuota says %q, want %q", within.Message, says)
		}
	}
	h.event(vc, reasonQuotaExceeded, "reef")
	h.run(tenant, podOf("reef--shop", "small", "500m"))
	h.usage(vc, "2", "2")

	h.kill(first)
	h.run(tenant, second)
	h.clusterCondition(vc, v1alpha1.ConditionWithinQuota, metav1.ConditionTrue, "")
	h.usage(vc, "1500m", "2")
}

// A StatefulSet of a chart is refused by the host's own controller, which says so in an Event.
func TestRoomForWhatAChartMakes(t *testing.T) {
	h := startHost(t)
	h.tenantCluster("chart", "2", "default", "shop", "spare")
	now := metav1.Now()
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "chart--shop", Name: "db.1"},
		InvolvedObject: corev1.ObjectReference{Kind: "StatefulSet", Namespace: "chart--shop", Name: "db"},
		Reason:         "FailedCreate", Type: corev1.EventTypeWarning, FirstTimestamp: now, LastTimestamp: now,
		Message: `create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: exceeded quota: virtual-cluster-share, ` +
			`requested: limits.cpu=1800m, used: limits.cpu=0, limited: limits.cpu=666m`,
	}
	if err := h.Client.Create(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	h.run(h.Client, podOf("chart--shop", "db-0", "1800m"))
}

// What a workload that is gone was refused is no reason to keep room from others.
func TestNoRoomForWhatIsGone(t *testing.T) {
	h := startHost(t)
	vc := h.tenantCluster("gone", "2", "default", "shop")
	now := metav1.Now()
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "gone--default", Name: "deleted"},
		InvolvedObject: corev1.ObjectReference{Kind: "StatefulSet", APIVersion: "apps/v1", Namespace: "gone--default", Name: "db", UID: "1"},
		Reason:         "FailedCreate", Type: corev1.EventTypeWarning, FirstTimestamp: now, LastTimestamp: now,
		Message: "exceeded quota: virtual-cluster-share, requested: limits.cpu=2, used: limits.cpu=0, limited: limits.cpu=1",
	}
	if err := h.Client.Create(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	h.run(h.tenant(), podOf("gone--shop", "pod", "1500m"))
	h.usage(vc, "1500m", "2")
	h.clusterCondition(vc, v1alpha1.ConditionWithinQuota, metav1.ConditionTrue, "")
}

// TestCreatesAtOnceStayWithinTheTotal lets namespaces compete for the last of it.
func TestCreatesAtOnceStayWithinTheTotal(t *testing.T) {
	h := startHost(t)
	namespaces := []string{"a", "b", "c", "d", "e", "f"}
	vc := h.tenantCluster("rush", "2", namespaces...)
	tenant := h.tenant()
	ctx, stop := context.WithTimeout(t.Context(), testenv.Patience)
	defer stop()
	var wg sync.WaitGroup
	for i := range 30 {
		namespace := "rush--" + namespaces[i%len(namespaces)]
		wg.Go(func() {
			for delay := 10 * time.Millisecond; ctx.Err() == nil; delay = min(2*delay, time.Second) {
				if tenant.Create(ctx, podOf(namespace, fmt.Sprint("pod-", i), "200m")) == nil {
					return
				}
				select {
				case <-time.After(delay):
				case <-ctx.Done():
				}
			}
		})
	}
	filled := time.Duration(0)
	for began := time.Now(); ctx.Err() == nil; {
		n := 0
		for _, namespace := range namespaces {
			pods := &corev1.PodList{}
			if err := h.Client.List(t.Context(), pods, client.InNamespace("rush--"+namespace)); err != nil {
				t.Fatal(err)
			}
			n += len(pods.Items)
		}
		if n > 10 {
			t.Fatalf("%d Pods of 200m in 2 CPUs", n)
		}
		if n == 10 && filled == 0 {
			filled = time.Since(began)
			time.AfterFunc(3*time.Second, stop) // the others go on trying for so long
		}
	}
	wg.Wait()
	if filled == 0 {
		t.Error("there was room for 10 Pods, and it was not given out")
	}
	t.Logf("all room was used after %s", filled.Round(time.Millisecond))
	h.usage(vc, "2", "2")
}

// Until a new ResourceQuota has a status, the API server admits anything.
func TestTheTenantComesInAfterItsQuota(t *testing.T) {
	h := startHost(t)
	c, err := client.NewWithWatch(h.Config, client.Options{Scheme: h.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Watch(t.Context(), &rbacv1.RoleBindingList{}, client.InNamespace("gate--default"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	h.tenantCluster("gate", "2", "default")
	e := <-w.ResultChan()
	if e.Type != watch.Added {
		t.Fatalf("the first event is %s %v", e.Type, e.Object)
	}
	live := &corev1.ResourceQuota{}
	h.get("gate--default", quota.Name, live)
	if _, enforced := live.Status.Used[corev1.ResourceLimitsCPU]; !enforced {
		t.Errorf("the tenant may create Pods before its quota is enforced: %+v", live.Status)
	}
}

// What people and time do to the ResourceQuotas is mended.
func TestSharesHeal(t *testing.T) {
	h := startHost(t)
	vc := h.tenantCluster("heal", "2", "default", "shop")
	total := func(want string) {
		t.Helper()
		testenv.Eventually(t, func(ctx context.Context) error {
			list := &corev1.ResourceQuotaList{}
			if err := h.Client.List(ctx, list, client.MatchingLabels{v1alpha1.LabelVirtualCluster: "heal"}); err != nil {
				return err
			}
			var sum resource.Quantity
			for _, q := range list.Items {
				sum.Add(q.Spec.Hard[corev1.ResourceLimitsCPU])
			}
			if len(list.Items) != 2 || sum.Cmp(resource.MustParse(want)) != 0 {
				return fmt.Errorf("%d shares of %s together, want 2 of %s", len(list.Items), sum.String(), want)
			}
			return nil
		})
	}
	total("2")
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "heal--shop", Name: quota.Name}}
	h.change(q, func() { q.Spec.Hard[corev1.ResourceLimitsCPU] = resource.MustParse("100") })
	total("2")
	h.change(q, func() { q.Labels = nil })
	total("2")
	if err := h.Client.Delete(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	total("2")
	pod := podOf("heal--default", "pod", "900m")
	h.run(h.tenant(), pod)
	h.change(vc, func() { vc.Spec.Quota.CPU = quantity("500m") })
	testenv.Eventually(t, func(context.Context) error { // the cache may show the new total before what the Pod uses
		within := h.clusterCondition(vc, v1alpha1.ConditionWithinQuota, metav1.ConditionFalse, reasonQuotaExceeded)
		if !strings.Contains(within.Message, "lowered") {
			return fmt.Errorf("WithinQuota says %q", within.Message)
		}
		return nil
	})
	h.kill(pod)
	total("500m")
	h.clusterCondition(vc, v1alpha1.ConditionWithinQuota, metav1.ConditionTrue, "")
	vns := &v1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: "heal", Name: "shop"}}
	if err := h.Client.Delete(t.Context(), vns); err != nil {
		t.Fatal(err)
	}
	h.gone(vns)
	h.run(h.tenant(), podOf("heal--default", "all", "500m"))
}
