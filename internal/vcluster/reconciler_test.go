// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/etcd"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func virtualCluster(name string) *v1alpha1.VirtualCluster {
	return &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func TestPreparesAVirtualCluster(t *testing.T) {
	h := startHost(t)
	vc := virtualCluster("prepared")
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")

	api, dns := &corev1.Service{}, &corev1.Service{}
	h.get("prepared", "prepared", api)
	h.get("prepared", "dns", dns)
	want := v1alpha1.VirtualClusterStatus{
		ServiceIP: api.Spec.ClusterIP, DNSIP: dns.Spec.ClusterIP,
		EtcdPrefix:          etcd.TenantRoot + "prepared-" + string(vc.UID)[:8] + "/",
		ClusterEndpoint:     v1alpha1.ClusterEndpoint{Direct: "https://prepared.prepared.svc:443"},
		KubeconfigSecretRef: &corev1.SecretReference{Namespace: "prepared", Name: "vc-prepared"},
	}
	got := vc.Status
	got.Conditions = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	ready := h.clusterCondition(vc, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCreating)
	if !strings.Contains(ready.Message, "pool member") {
		t.Errorf("Ready says %q, want what it waits for", ready.Message)
	}

	secret := &corev1.Secret{}
	h.get("prepared", "prepared-control-plane", secret)
	certs, err := cert.ParseCertsPEM(secret.Data[v1alpha1.KeyServingCert])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prepared", "prepared.prepared", "prepared.prepared.svc", "prepared.prepared.svc.cluster.local",
		"kubernetes", "kubernetes.default.svc.cluster.local", "localhost", "127.0.0.1", api.Spec.ClusterIP} {
		if err := certs[0].VerifyHostname(name); err != nil {
			t.Errorf("the serving certificate: %v", err)
		}
	}
	kubeconfig := &corev1.Secret{}
	h.get("prepared", "vc-prepared", kubeconfig)
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig.Data["config"])
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://prepared.prepared.svc:443" || string(config.CertData) != string(kubeconfig.Data["client-certificate"]) {
		t.Errorf("kubeconfig: host %s, or another certificate than in its own key", config.Host)
	}

	var bindings rbacv1.RoleBindingList
	if err := h.Client.List(t.Context(), &bindings, client.InNamespace("prepared")); err != nil {
		t.Fatal(err)
	}
	var granted []string
	for _, b := range bindings.Items {
		granted = append(granted, fmt.Sprintf("%s to %s/%s", b.RoleRef.Name, b.Subjects[0].Namespace, b.Subjects[0].Name))
	}
	if diff := cmp.Diff([]string{"skerry-pool-home to skerry-system/skerry-pool", "skerry-tenant-home to prepared/skerry-tenant"}, granted); diff != "" {
		t.Errorf("rights in the home namespace (-want +got):\n%s", diff)
	}
	if _, err := h.etcd.As(strings.Trim(strings.TrimPrefix(vc.Status.EtcdPrefix, etcd.TenantRoot), "/")).Put(t.Context(), vc.Status.EtcdPrefix+"x", "y"); err != nil {
		t.Errorf("the tenant cannot write its prefix: %v", err)
	}
}

func TestReadyFollowsTheOtherWriters(t *testing.T) {
	h := startHost(t)
	vc := virtualCluster("followed")
	vc.Spec.GitOps = &v1alpha1.GitOpsAccess{}
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	set := func(typ string, s metav1.ConditionStatus, message string) {
		h.changeStatus(vc, func() { status.Set(&vc.Status.Conditions, vc.Generation, typ, s, "Test", message) })
	}
	set(v1alpha1.ConditionControlPlaneReady, metav1.ConditionTrue, "")
	testenv.Eventually(t, func(context.Context) error {
		c := h.clusterCondition(vc, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCreating)
		if !strings.Contains(c.Message, "registration") {
			return fmt.Errorf("waiting for %q", c.Message)
		}
		return nil
	})
	set(v1alpha1.ConditionRegistered, metav1.ConditionTrue, "")
	h.clusterCondition(vc, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	set(v1alpha1.ConditionControlPlaneReady, metav1.ConditionFalse, "the member stopped")
	c := h.clusterCondition(vc, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnavailable)
	if !strings.Contains(c.Message, "the member stopped") {
		t.Errorf("Ready says %q, want the deepest reason", c.Message)
	}
}

func TestNothingIsWrittenOnceAllIsThere(t *testing.T) {
	h := startHost(t)
	vc := virtualCluster("settled")
	vc.Spec.Quota = &v1alpha1.Quota{CPU: quantity("0.5"), Memory: quantity("1Gi")}
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	vns := &v1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: "settled", Name: "default"}}
	if err := h.Client.Create(t.Context(), vns); err != nil {
		t.Fatal(err)
	}
	h.namespaceCondition(vns, metav1.ConditionTrue, "")
	testenv.Eventually(t, func(ctx context.Context) error {
		err := h.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc)
		if q := vc.Status.Quota; err == nil && (q == nil || len(q.Namespaces) != 1 || len(q.Namespaces[0].Hard) != 2) {
			return fmt.Errorf("status.quota %+v", q)
		}
		return err
	})
	touches := 0
	testenv.Eventually(t, func(context.Context) error { // the last writes may come late
		settle(h)
		before := len(h.written("settled"))
		touches++
		h.change(vc, func() { metav1.SetMetaDataAnnotation(&vc.ObjectMeta, "touched", fmt.Sprint(touches)) })
		h.change(vns, func() { metav1.SetMetaDataAnnotation(&vns.ObjectMeta, "touched", fmt.Sprint(touches)) })
		settle(h)
		if after := h.written("settled"); len(after) != before {
			return fmt.Errorf("written by two reconciles that had nothing to do: %q", after[before:])
		}
		return nil
	})

	// and what somebody removed comes back
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "settled--default", Name: "skerry-tenant"}}
	if err := h.Client.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	kubeconfig := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "settled", Name: "vc-settled"}}
	if err := h.Client.Delete(t.Context(), kubeconfig); err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{binding, kubeconfig} {
		testenv.Eventually(t, func(ctx context.Context) error {
			return h.Client.Get(ctx, client.ObjectKeyFromObject(o), o)
		})
	}
}

// settle waits until the controllers have written nothing for half a second.
func settle(h *host) {
	last := h.writes.Load()
	for quiet := 0; quiet < 5; quiet++ {
		select {
		case <-h.t.Context().Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
		if now := h.writes.Load(); now != last {
			last, quiet = now, 0
		}
	}
}

func TestRefusesANamespaceOfSomebodyElse(t *testing.T) {
	h := startHost(t)
	foreign := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}}
	if err := h.Client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	vc := virtualCluster("foreign")
	h.create(vc)
	c := h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionFalse, reasonNamespaceTaken)
	if !strings.Contains(c.Message, "choose another name") {
		t.Errorf("the condition says %q, want a way out", c.Message)
	}
	if err := h.Client.Delete(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	h.gone(vc)
	if err := h.Client.Get(t.Context(), client.ObjectKeyFromObject(foreign), foreign); err != nil || foreign.DeletionTimestamp != nil {
		t.Errorf("the foreign namespace was touched: %v", err)
	}
}

func TestReissuesWhenNamesChange(t *testing.T) {
	h := startHost(t)
	vc := virtualCluster("renamed")
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	before := &corev1.Secret{}
	h.get("renamed", "renamed-control-plane", before)
	api := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "renamed", Name: "renamed"}}
	h.change(api, func() { api.Spec.Type = corev1.ServiceTypeLoadBalancer })
	h.changeStatus(api, func() {
		api.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: "renamed.example.org"}, {IP: "192.0.2.7"}}
	})
	after := &corev1.Secret{}
	testenv.Eventually(t, func(context.Context) error {
		h.get("renamed", "renamed-control-plane", after)
		certs, err := cert.ParseCertsPEM(after.Data[v1alpha1.KeyServingCert])
		if err != nil {
			return err
		}
		if err := certs[0].VerifyHostname("192.0.2.7"); err != nil {
			return err
		}
		return certs[0].VerifyHostname("renamed.example.org")
	})
	var changed []string
	for k := range after.Data {
		if string(before.Data[k]) != string(after.Data[k]) {
			changed = append(changed, k)
		}
	}
	slices.Sort(changed)
	if diff := cmp.Diff([]string{v1alpha1.KeyServingCert, v1alpha1.KeyServingKey}, changed); diff != "" {
		t.Errorf("reissued (-want +got):\n%s", diff)
	}
}

// TestTimeToPrepared reports how long clusters take, one by one and many at once.
func TestTimeToPrepared(t *testing.T) {
	h := startHost(t)
	w, err := h.watchClusters()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	measure := func(names ...string) time.Duration {
		began, left := time.Now(), len(names)
		for _, n := range names {
			h.create(virtualCluster(n))
		}
		for left > 0 {
			e, open := <-w.ResultChan()
			if !open {
				t.Fatal("the watch ended")
			}
			vc, ok := e.Object.(*v1alpha1.VirtualCluster)
			if ok && e.Type == watch.Modified && slices.Contains(names, vc.Name) && status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionPrepared) {
				names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == vc.Name })
				left = len(names)
			}
		}
		return time.Since(began)
	}
	measure("timed-start") // the controllers start meanwhile
	settle(h)
	var one []time.Duration
	for i := range 11 {
		one = append(one, measure(fmt.Sprintf("timed-%d", i)))
		settle(h)
	}
	slices.Sort(one)
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("crowd-%d", i)
	}
	t.Logf("VirtualCluster created -> Prepared: p50 %s, slowest of %d %s; %d at once: %s", one[len(one)/2], len(one), one[len(one)-1], len(many), measure(many...))
}
