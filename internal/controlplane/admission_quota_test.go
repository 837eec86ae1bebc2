// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane"
)

// The total is 2 CPUs and 10Gi of storage; shop uses 1500m and 4Gi of them.
func almostFull() (*platformv1alpha1.Quota, *platformv1alpha1.QuotaStatus) {
	used := corev1.ResourceList{
		corev1.ResourceLimitsCPU: resource.MustParse("1500m"), corev1.ResourceRequestsStorage: resource.MustParse("4Gi"),
	}
	return &platformv1alpha1.Quota{CPU: ptr.To(resource.MustParse("2")), Storage: ptr.To(resource.MustParse("10Gi"))},
		&platformv1alpha1.QuotaStatus{Used: used, Namespaces: []platformv1alpha1.NamespaceQuota{{Name: "shop", Used: used}}}
}

func podWith(ns, name, cpu string) *corev1.Pod {
	c := corev1.Container{Name: "c", Image: "example.org/c"}
	if cpu != "" {
		c.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.PodSpec{Containers: []corev1.Container{c}}}
}

func claimOf(ns, name, storage string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(storage)}},
		},
	}
}

func TestRefusesWhatDoesNotFitIntoTheTotal(t *testing.T) {
	cfg := tenantConfig(t, "island", &fakeHost{})
	cfg.Quota = almostFull
	cp := startTenant(t, cfg)
	alice, syncer := asAdmin(t, cp), newClient(t, cp.RESTConfigAs(controlplane.SyncerUser))
	ns := newNamespace(t, alice)
	mirror := podWith(ns, "mirror", "2")
	mirror.Labels = map[string]string{platformv1alpha1.LabelOwner: platformv1alpha1.OwnerHost}
	for _, c := range []struct {
		why  string
		as   client.Client
		obj  client.Object
		says []string // none: it is admitted
	}{
		{"a Pod that fits", alice, podWith(ns, "fits", "500m"), nil},
		{"one that does not", alice, podWith(ns, "big", "501m"),
			[]string{"exceeded quota of virtual cluster island", "requested in " + ns + ": limits.cpu=501m", "used: limits.cpu=1500m (shop 1500m)", "limited: limits.cpu=2", "size or resources"}},
		{"two containers that will get the default", alice, func() client.Object {
			p := podWith(ns, "defaults", "")
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "d", Image: "example.org/d"})
			return p
		}(), []string{"requested in " + ns + ": limits.cpu=1"}},
		{"a claim that does not fit", alice, claimOf(ns, "data", "7Gi"), []string{"requests.storage=7Gi", "limited: requests.storage=10Gi"}},
		{"a claim that fits", alice, claimOf(ns, "small", "6Gi"), nil},
		{"a copy of what runs on the host", syncer, mirror, nil},
	} {
		t.Run(c.why, func(t *testing.T) {
			err := c.as.Create(t.Context(), c.obj)
			if len(c.says) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !apierrors.IsForbidden(err) {
				t.Fatalf("got %v, want Forbidden", err)
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%v\ndoes not say %q", err, says)
				}
			}
		})
	}
}
