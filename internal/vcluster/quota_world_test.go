// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// tenantCluster makes a virtual cluster with CPU for its whole, and namespaces in it that are ready.
func (h *host) tenantCluster(name, cpu string, namespaces ...string) *v1alpha1.VirtualCluster {
	h.t.Helper()
	vc := virtualCluster(name)
	vc.Spec.Quota = &v1alpha1.Quota{CPU: quantity(cpu)}
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	for _, n := range namespaces {
		vns := &v1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: n}}
		if err := h.Client.Create(h.t.Context(), vns); err != nil {
			h.t.Fatal(err)
		}
		h.namespaceCondition(vns, metav1.ConditionTrue, "")
	}
	return vc
}

// tenant is a client whose refusals are reported, as the syncer's and the Helm engine's are.
func (h *host) tenant() client.Client {
	h.t.Helper()
	c, err := client.New(quota.ReportRefusals(h.Config), client.Options{Scheme: h.Scheme})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func podOf(namespace, name, cpu string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "c", Image: "example.org/c", Resources: corev1.ResourceRequirements{
				Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")},
			},
		}}},
	}
}

// run creates a Pod as controllers do: again while it is refused.
func (h *host) run(c client.Client, pod *corev1.Pod) {
	h.t.Helper()
	testenv.Eventually(h.t, func(ctx context.Context) error { return c.Create(ctx, pod.DeepCopy()) })
}

func (h *host) kill(pod *corev1.Pod) {
	h.t.Helper()
	if err := h.Client.Delete(h.t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		h.t.Fatal(err)
	}
}

// usage waits until status.quota says so.
func (h *host) usage(vc *v1alpha1.VirtualCluster, used, hard string) {
	h.t.Helper()
	testenv.Eventually(h.t, func(ctx context.Context) error {
		if err := h.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
			return err
		}
		q := vc.Status.Quota
		if q == nil {
			return errors.New("no status.quota")
		}
		u, l := q.Used[corev1.ResourceLimitsCPU], q.Hard[corev1.ResourceLimitsCPU]
		if u.Cmp(resource.MustParse(used)) != 0 || l.Cmp(resource.MustParse(hard)) != 0 {
			return fmt.Errorf("%s of %s used, want %s of %s", u.String(), l.String(), used, hard)
		}
		return nil
	})
}

// event waits for an Event about the object.
func (h *host) event(obj client.Object, reason, says string) {
	h.t.Helper()
	testenv.Eventually(h.t, func(ctx context.Context) error {
		list := &corev1.EventList{}
		if err := h.Client.List(ctx, list); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.InvolvedObject.UID == obj.GetUID() && e.Reason == reason && strings.Contains(e.Message, says) {
				return nil
			}
		}
		return fmt.Errorf("no Event %s that says %q about %s", reason, says, describe(obj))
	})
}
