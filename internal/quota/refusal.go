// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// mostMessage is longer than any refusal of the resources that a total names.
const mostMessage = 4 << 10

// Refusal is what a share had no room for.
type Refusal struct {
	// Requested and Used name only what is exceeded.
	Requested, Used corev1.ResourceList
}

// ParseRefusal finds the refusal of a share in the words of an API server, of a controller's
// event, or of any message that quotes them; false when there is none. Kubernetes says it in
// words only: "exceeded quota: NAME, requested: a=1,b=2, used: a=3,b=4, limited: a=3,b=4".
// Source: k8s.io/apiserver/pkg/admission/plugin/resourcequota, CheckRequest.
//
// Nothing is decided by it but whose share grows, within the total: a tenant that makes
// such words up moves room between its own namespaces.
func ParseRefusal(message string) (Refusal, bool) {
	if len(message) > mostMessage {
		return Refusal{}, false
	}
	_, rest, found := strings.Cut(message, "exceeded quota: "+Name+", requested: ")
	if !found {
		return Refusal{}, false
	}
	requested, rest, found := strings.Cut(rest, ", used: ")
	if !found {
		return Refusal{}, false
	}
	used, _, found := strings.Cut(rest, ", limited: ")
	if !found {
		return Refusal{}, false
	}
	r := Refusal{Requested: parseList(requested), Used: parseList(used)}
	return r, len(r.Requested) > 0 && len(r.Requested) == len(r.Used)
}

// parseList is nil when anything in it is not a resource and a positive quantity.
func parseList(s string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for _, pair := range strings.Split(s, ",") {
		name, value, _ := strings.Cut(pair, "=")
		q, err := resource.ParseQuantity(value)
		if err != nil || name == "" || q.Sign() < 0 {
			return nil
		}
		out[corev1.ResourceName(name)] = q
	}
	return out
}

// Served says whether the namespace has since come to use what was asked for.
func (r Refusal) Served(used corev1.ResourceList) bool {
	for name, q := range r.Requested {
		q.Add(r.Used[name])
		if now := used[name]; now.Cmp(q) < 0 {
			return false
		}
	}
	return true
}

// Explain is what a person gets to read when a request does not fit into the total. It has the
// parts of a ResourceQuota's own refusal, and says where the total is used. namespace is the
// one in the virtual cluster.
func Explain(virtualCluster, namespace string, status *v1alpha1.QuotaStatus, requested corev1.ResourceList) string {
	exceeded := Exceeded(status.Hard, status.Used, requested)
	if len(exceeded) == 0 {
		exceeded = sorted(requested)
	}
	used := make([]string, 0, len(exceeded))
	for _, name := range exceeded {
		q := status.Used[name]
		used = append(used, fmt.Sprintf("%s=%s%s", name, q.String(), where(status, name)))
	}
	return fmt.Sprintf("exceeded quota of virtual cluster %s: requested in %s: %s, used: %s, limited: %s; "+
		"delete something there, ask for less, or give the environment more (size or resources of its claim)",
		virtualCluster, namespace, print(requested, exceeded), strings.Join(used, ","), print(status.Hard, exceeded))
}

// where is " (default 2, shop 1)", the namespaces that use a resource.
func where(status *v1alpha1.QuotaStatus, name corev1.ResourceName) string {
	var parts []string
	for _, n := range status.Namespaces {
		if q := n.Used[name]; !q.IsZero() {
			parts = append(parts, n.Name+" "+q.String())
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
