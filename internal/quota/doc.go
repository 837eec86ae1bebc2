// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota holds what station 4 (vcluster) of docs/flow.md, the control plane and the Helm
// engine know in common about a virtual cluster's quota: how the total is divided among
// its host namespaces, what a refusal says, and how one becomes known.
//
// Kubernetes limits namespaces, never a group of them. Each host namespace therefore has a
// ResourceQuota of its own, its share, and the shares never sum up to more than the
// total; what a namespace does not need moves to one that was refused. See
// docs/adr/0013-one-quota-over-many-namespaces.md.
package quota

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// Name of the ResourceQuota in each host namespace. It stands in the refusals that people
// read ("exceeded quota: virtual-cluster-share, requested: ..."), so it says what it is.
const Name = "virtual-cluster-share"

// Total is the quota in the names of a ResourceQuota. Requests are not listed: Kubernetes
// lets no request be above its limit.
func Total(q *v1alpha1.Quota) corev1.ResourceList {
	total := corev1.ResourceList{}
	if q == nil {
		return total
	}
	for name, quantity := range map[corev1.ResourceName]*resource.Quantity{
		corev1.ResourceLimitsCPU: q.CPU, corev1.ResourceLimitsMemory: q.Memory, corev1.ResourceRequestsStorage: q.Storage,
	} {
		if quantity != nil {
			total[name] = *quantity
		}
	}
	return total
}

// Resources of a container that names none; a quota on limits refuses Pods without any.
const (
	defaultCPU, defaultMemory               = "500m", "512Mi"
	defaultCPURequest, defaultMemoryRequest = "25m", "64Mi"
)

// Defaults are the limits and requests of a container that names none. The limits fit
// four times into the total.
func Defaults(q *v1alpha1.Quota) (limits, requests corev1.ResourceList) {
	limits = corev1.ResourceList{
		corev1.ResourceCPU:    atMostQuarter(resource.MustParse(defaultCPU), q.CPU),
		corev1.ResourceMemory: atMostQuarter(resource.MustParse(defaultMemory), q.Memory),
	}
	requests = corev1.ResourceList{
		corev1.ResourceCPU:    least(resource.MustParse(defaultCPURequest), limits[corev1.ResourceCPU]),
		corev1.ResourceMemory: least(resource.MustParse(defaultMemoryRequest), limits[corev1.ResourceMemory]),
	}
	return limits, requests
}

func atMostQuarter(want resource.Quantity, total *resource.Quantity) resource.Quantity {
	if total == nil {
		return want
	}
	return least(want, *resource.NewMilliQuantity(total.MilliValue()/4, total.Format))
}

func least(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) <= 0 {
		return a
	}
	return b
}

// Sum adds up the lists, as far as they name what total names.
func Sum(total corev1.ResourceList, lists ...corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, of := range total {
		sum := resource.Quantity{Format: of.Format}
		for _, l := range lists {
			sum.Add(l[name])
		}
		out[name] = sum
	}
	return out
}

// Exceeded are the resources of which used and requested together are more than total. Only
// what is requested can be exceeded.
func Exceeded(total, used, requested corev1.ResourceList) []corev1.ResourceName {
	var out []corev1.ResourceName
	for _, name := range sorted(total) {
		want, asked := requested[name]
		if !asked || want.Sign() <= 0 {
			continue
		}
		want.Add(used[name])
		if want.Cmp(total[name]) > 0 {
			out = append(out, name)
		}
	}
	return out
}

// print is "a=1,b=2", as a ResourceQuota's own refusal has it.
func print(l corev1.ResourceList, names []corev1.ResourceName) string {
	parts := make([]string, 0, len(names))
	for _, name := range names {
		q := l[name]
		parts = append(parts, string(name)+"="+q.String())
	}
	return strings.Join(parts, ",")
}

func sorted(l corev1.ResourceList) []corev1.ResourceName { return slices.Sorted(maps.Keys(l)) }
