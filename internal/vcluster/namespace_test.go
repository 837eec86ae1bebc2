// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func quantity(s string) *resource.Quantity {
	q := resource.MustParse(s)
	return &q
}

func (h *host) get(namespace, name string, obj client.Object) {
	h.t.Helper()
	if err := h.Client.Get(h.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) watchClusters() (watch.Interface, error) {
	c, err := client.NewWithWatch(h.Config, client.Options{Scheme: h.Scheme})
	if err != nil {
		return nil, err
	}
	return c.Watch(h.t.Context(), &v1alpha1.VirtualClusterList{})
}

// release makes a Release that the Helm engine still holds.
func (h *host) release(namespace, name string) *unstructured.Unstructured {
	h.t.Helper()
	r := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"forProvider": map[string]any{"chart": map[string]any{"name": "postgresql", "repository": "https://charts.example.org", "version": "1.0.0"}},
	}}}
	r.SetGroupVersionKind(releaseKind)
	r.SetNamespace(namespace)
	r.SetName(name)
	r.SetFinalizers([]string{"platform.skerry.dev/cleanup"})
	if err := h.Client.Create(h.t.Context(), r); err != nil {
		h.t.Fatal(err)
	}
	return r
}

func TestProvidesAHostNamespace(t *testing.T) {
	h := startHost(t)
	vc := virtualCluster("island")
	vc.Spec.Quota = &v1alpha1.Quota{CPU: quantity("1"), Memory: quantity("2Gi"), Storage: quantity("10Gi")}
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	vns := &v1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: "island", Name: "shop"}}
	if err := h.Client.Create(t.Context(), vns); err != nil {
		t.Fatal(err)
	}
	h.namespaceCondition(vns, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	if vns.Status.HostNamespace != "island--shop" {
		t.Errorf("status.hostNamespace = %q", vns.Status.HostNamespace)
	}
	h.event(vns, v1alpha1.ConditionReady, "island--shop")
	ns := &corev1.Namespace{}
	h.get("", "island--shop", ns)
	if ns.Labels[v1alpha1.LabelVirtualCluster] != "island" || ns.Labels[v1alpha1.LabelVirtualNamespace] != "shop" || ns.Labels["pod-security.kubernetes.io/enforce"] != "baseline" {
		t.Errorf("labels %v", ns.Labels)
	}
	h.get("island--shop", tenantObjects, &networkingv1.NetworkPolicy{})
	share := &corev1.ResourceQuota{}
	h.get("island--shop", quota.Name, share)
	if got := share.Spec.Hard[corev1.ResourceLimitsCPU]; got.Cmp(resource.MustParse("1")) != 0 {
		t.Errorf("quota %v", share.Spec.Hard)
	}

	// A figure that is dropped goes, a new one comes.
	h.change(vc, func() { vc.Spec.Quota = &v1alpha1.Quota{Memory: quantity("3Gi")} })
	testenv.Eventually(t, func(context.Context) error {
		h.get("island--shop", quota.Name, share)
		if _, still := share.Spec.Hard[corev1.ResourceLimitsCPU]; still {
			return fmt.Errorf("quota %v", share.Spec.Hard)
		}
		return nil
	})
	h.change(vc, func() { vc.Spec.Quota = nil })
	h.gone(share)
	h.gone(&corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "island--shop", Name: tenantObjects}})
}

func TestRefusesHostNamespaces(t *testing.T) {
	h := startHost(t)
	h.create(virtualCluster("harbour"))
	h.clusterCondition(virtualCluster("harbour"), v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	if err := h.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "harbour--taken"}}); err != nil {
		t.Fatal(err)
	}
	if err := h.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "squat"}}); err != nil {
		t.Fatal(err)
	}
	h.create(virtualCluster("squat"))
	for _, c := range []struct{ why, namespace, name, reason, says string }{
		{"the home namespace is somebody else's", "squat", "default", reasonNamespaceTaken, "is not VirtualCluster squat's home"},
		{"the host namespace is somebody else's", "harbour", "taken", reasonNamespaceTaken, "is not this virtual cluster's"},
		{"asked for outside a home namespace", h.Namespace(t), "default", reasonNoCluster, "home namespace"},
	} {
		t.Run(c.why, func(t *testing.T) {
			vns := &v1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: c.name}}
			if err := h.Client.Create(t.Context(), vns); err != nil {
				t.Fatal(err)
			}
			if got := h.namespaceCondition(vns, metav1.ConditionFalse, c.reason); !strings.Contains(got.Message, c.says) {
				t.Errorf("the condition says %q, want %q", got.Message, c.says)
			}
			h.event(vns, c.reason, c.says)
			if err := h.Client.Delete(t.Context(), vns); err != nil {
				t.Fatal(err)
			}
			h.gone(vns)
		})
	}
}

func TestDeletesApplicationsAndWaits(t *testing.T) {
	h := &host{Env: testenv.Start(t), t: t}
	namespace := h.Namespace(t)
	c, err := dynamic.NewForConfig(h.Config)
	if err != nil {
		t.Fatal(err)
	}
	held := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"components": []any{}}}}
	held.SetAPIVersion("core.oam.dev/v1beta1")
	held.SetKind("Application")
	held.SetName("shop")
	held.SetNamespace(namespace)
	held.SetFinalizers([]string{"platform.skerry.dev/cleanup"})
	if err := h.Client.Create(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		_, err := deleteApplications(t.Context(), c.Resource(applications), func(s string) { said <- s })
		done <- err
	}()
	if s := <-said; !strings.Contains(s, namespace+"/shop") {
		t.Errorf("progress says %q, want the Application's name", s)
	}
	h.change(held, func() { held.SetFinalizers(nil) })
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := h.Client.Get(t.Context(), client.ObjectKeyFromObject(held), held); !apierrors.IsNotFound(err) {
		t.Errorf("the Application is still there: %v", err)
	}
}
