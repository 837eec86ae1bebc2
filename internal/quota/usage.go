// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// BesidesUsage drops updates of VirtualClusters in which only status.quota changed: up to one a second
// while a tenant works, and nothing to the controllers that do not look at it. They must try again by
// themselves after a conflict, because the update that won may be one of those.
func BesidesUsage() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, is := e.ObjectOld.(*v1alpha1.VirtualCluster)
		after, too := e.ObjectNew.(*v1alpha1.VirtualCluster)
		return !is || !too || !usageOnly(before, after)
	}}
}

func usageOnly(before, after *v1alpha1.VirtualCluster) bool {
	if equality.Semantic.DeepEqual(before.Status.Quota, after.Status.Quota) {
		return false
	}
	b, a := *before, *after
	for _, vc := range []*v1alpha1.VirtualCluster{&b, &a} {
		vc.Status.Quota, vc.ResourceVersion, vc.ManagedFields = nil, "", nil
	}
	return equality.Semantic.DeepEqual(b, a)
}
