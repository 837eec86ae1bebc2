// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// The claim shows what of its size is used, without looking at the virtual cluster.
func TestEnvironmentShowsItsUsage(t *testing.T) {
	w := newWorld(t, 0)
	env := &v1alpha1.VClusterEnvironmentClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "used"},
		Spec: v1alpha1.VClusterEnvironmentClaimSpec{Name: "used"}}
	if err := w.Client.Create(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	vc := eventually(w, &v1alpha1.VirtualCluster{}, "", "used", exists)
	cpu := func(s string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceLimitsCPU: resource.MustParse(s)}
	}
	w.play(vc, func() { vc.Status.Quota = &v1alpha1.QuotaStatus{Hard: cpu("4"), Used: cpu("1500m")} })
	eventually(w, env, w.namespace, "used", func(env *v1alpha1.VClusterEnvironmentClaim) error {
		u := env.Status.Usage
		if u == nil || !equality.Semantic.DeepEqual(*u, v1alpha1.Usage{Hard: cpu("4"), Used: cpu("1500m")}) {
			return fmt.Errorf("usage %+v", u)
		}
		return nil
	})
	w.delete(env)
	gone(w, &v1alpha1.VirtualCluster{}, "", "used")
}
