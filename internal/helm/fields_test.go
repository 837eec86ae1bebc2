// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"testing"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

// A Release may say Orphan in the words of Crossplane 1 (deletionPolicy) and of Crossplane 2
// (management policies without Delete); policies that leave no engine to run are refused.
func TestManagementPolicies(t *testing.T) {
	type policies = []helmv1beta1.ManagementPolicy
	for _, c := range []struct {
		reason            string
		policies          policies
		deletion          helmv1beta1.DeletionPolicy
		managed, orphaned bool
	}{
		{"nothing said", nil, "", true, false},
		{"all", policies{"*"}, "", true, false},
		{"all but Delete", policies{"Observe", "Create", "Update", "LateInitialize"}, "", true, true},
		{"Crossplane 1", nil, helmv1beta1.DeletionOrphan, true, true},
		{"observe only", policies{"Observe"}, "", false, true},
		{"each by name", policies{"Observe", "Create", "Update", "Delete"}, "", true, false},
	} {
		spec := helmv1beta1.ReleaseSpec{ManagementPolicies: c.policies, DeletionPolicy: c.deletion}
		if got := managed(c.policies); got != c.managed {
			t.Errorf("%s: managed is %v", c.reason, got)
		}
		if got := orphaned(spec); got != c.orphaned {
			t.Errorf("%s: orphaned is %v", c.reason, got)
		}
	}
}
