// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestNamesThatCannotBeServed(t *testing.T) {
	h := startHost(t)
	for _, name := range []string{"1st", "a--b", "a.b", "kube-x", "default", strings.Repeat("x", 41)} {
		if err := h.Client.Create(t.Context(), virtualCluster(name)); !apierrors.IsInvalid(err) {
			t.Errorf("VirtualCluster %s: got %v, want it refused", name, err)
		}
	}
}
