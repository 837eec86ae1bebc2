// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/quota"
)

// TestTheWordsOfARefusal asks Kubernetes' own controllers, of the version that is linked in, how they
// tell that a quota refused them: the operator reads it.
func TestTheWordsOfARefusal(t *testing.T) {
	cp := startTenant(t, tenantConfig(t, "words", nil))
	alice := asAdmin(t, cp)
	ns := newNamespace(t, alice)
	limits := corev1.ResourceList{corev1.ResourceLimitsCPU: resource.MustParse("1"), corev1.ResourceRequestsStorage: resource.MustParse("1Gi")}
	share := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: quota.Name}, Spec: corev1.ResourceQuotaSpec{Hard: limits}}
	if err := alice.Create(t.Context(), share); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if err := alice.Get(t.Context(), client.ObjectKeyFromObject(share), share); err != nil || len(share.Status.Used) == 2 {
			return err
		}
		return fmt.Errorf("the quota has no status yet")
	})
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "big"}}
	template := func(restart corev1.RestartPolicy) corev1.PodTemplateSpec {
		pod := podWith(ns, "", "2")
		pod.Spec.RestartPolicy = restart
		return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: selector.MatchLabels}, Spec: pod.Spec}
	}
	data := *claimOf("", "data", "2Gi")
	for kind, o := range map[string]client.Object{
		"ReplicaSet": &appsv1.Deployment{ObjectMeta: meta("web"), Spec: appsv1.DeploymentSpec{Selector: selector, Template: template("")}},
		"StatefulSet": &appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{
			Selector: selector, Template: template(""), ServiceName: "db", VolumeClaimTemplates: []corev1.PersistentVolumeClaim{data},
		}},
		"Job": &batchv1.Job{ObjectMeta: meta("seed"), Spec: batchv1.JobSpec{Template: template(corev1.RestartPolicyNever)}},
	} {
		t.Run(kind, func(t *testing.T) {
			if err := alice.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error {
				events := &corev1.EventList{}
				if err := alice.List(t.Context(), events, client.InNamespace(ns)); err != nil {
					return err
				}
				var said []string
				for _, e := range events.Items {
					if e.InvolvedObject.Kind != kind {
						continue
					}
					said = append(said, e.Reason+": "+e.Message)
					if refusal, ok := quota.ParseRefusal(e.Message); ok && e.Reason == quota.EventReason && len(refusal.Requested) == 1 {
						return nil
					}
				}
				return fmt.Errorf("no Event of a %s that can be read: %q", kind, said)
			})
		})
	}
}
