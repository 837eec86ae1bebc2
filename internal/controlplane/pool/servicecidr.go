// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// ServiceCIDR asks the host for the range that its Services get their addresses from,
// "CIDR" or "CIDR,CIDR". Virtual clusters have the same, because their Services have the
// host's addresses. Hosts before 1.33 do not serve it.
func ServiceCIDR(ctx context.Context, host kubernetes.Interface) (string, error) {
	const wayOut = "pass --service-cidr (the host API server's --service-cluster-ip-range)"
	list, err := host.NetworkingV1().ServiceCIDRs().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("asking the host for its ServiceCIDRs: %w; %s", err, wayOut)
	}
	if len(list.Items) == 0 {
		return "", errors.New("the host has no ServiceCIDR object; " + wayOut)
	}
	// "kubernetes" is the one that the host's API server makes from its own flag.
	i := max(0, slices.IndexFunc(list.Items, func(c networkingv1.ServiceCIDR) bool { return c.Name == "kubernetes" }))
	return strings.Join(list.Items[i].Spec.CIDRs, ","), nil
}
