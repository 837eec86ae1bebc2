// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

func TestBesidesUsage(t *testing.T) {
	for why, c := range map[string]struct {
		change func(*v1alpha1.VirtualCluster)
		passes bool
	}{
		"a Pod more":            {func(vc *v1alpha1.VirtualCluster) { vc.Status.Quota.Used = cpu("2") }, false},
		"a resync":              {func(*v1alpha1.VirtualCluster) {}, true},
		"a Pod and a condition": {func(vc *v1alpha1.VirtualCluster) { vc.Status.Quota.Used, vc.Status.Member = cpu("2"), "pool-1" }, true},
		"a deletion":            {func(vc *v1alpha1.VirtualCluster) { vc.DeletionTimestamp = &metav1.Time{Time: at(1)} }, true},
	} {
		before := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "1"}}
		before.Status.Quota = &v1alpha1.QuotaStatus{Used: cpu("1")}
		after := before.DeepCopy()
		after.ResourceVersion = "2"
		c.change(after)
		if got := BesidesUsage().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != c.passes {
			t.Errorf("%s: passes %t, want %t", why, got, c.passes)
		}
	}
}
