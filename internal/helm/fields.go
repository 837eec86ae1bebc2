// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"slices"
	"strings"
	"time"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// mostName is the longest name of a Helm release; see chart/v2/util.ValidateReleaseName.
const mostName = 53

// checkFields refuses what this version does not serve and what would change what is
// installed if it were left out silently.
func checkFields(rel *helmv1beta1.Release, t *tenant) error {
	spec, p := rel.Spec, rel.Spec.ForProvider
	if name := helmName(rel); len(name) > mostName {
		return refusef("the Helm release would be called %q, which is %d characters long; Helm allows %d: shorten the name of the "+
			"Release (or of the component that it is made for)", name, len(name), mostName)
	}
	if p.Namespace != "" && p.Namespace != t.Namespace && p.Namespace != t.VirtualNamespace {
		return refusef("spec.forProvider.namespace is %q, but a Release installs into its own namespace, %q: leave the field out, "+
			"or create the Release in the other namespace", p.Namespace, t.VirtualNamespace)
	}
	for field, used := range map[string]bool{
		"spec.forProvider.patchesFrom":                               len(p.PatchesFrom) > 0,
		"spec.forProvider.chart.digest":                              p.Chart.Digest != "",
		"spec.managementPolicies without Observe, Create and Update": !managed(spec.ManagementPolicies),
	} {
		if used {
			return refusef("%s is not served in this version, and nothing is installed that ignores it: remove it", field)
		}
	}
	return nil
}

// managed reports whether the policies let the engine keep the release: all of them, or all
// but Delete, which is how Crossplane 2 says deletionPolicy Orphan.
func managed(policies []helmv1beta1.ManagementPolicy) bool {
	if len(policies) == 0 || slices.Contains(policies, helmv1beta1.ManagementAll) {
		return true
	}
	for _, needed := range []helmv1beta1.ManagementPolicy{"Observe", "Create", "Update"} {
		if !slices.Contains(policies, needed) {
			return false
		}
	}
	return true
}

// orphaned reports whether the release is to outlive its object.
func orphaned(spec helmv1beta1.ReleaseSpec) bool {
	p := spec.ManagementPolicies
	mayDelete := len(p) == 0 || slices.Contains(p, helmv1beta1.ManagementAll) || slices.Contains(p, "Delete")
	return spec.DeletionPolicy == helmv1beta1.DeletionOrphan || !mayDelete
}

// unservedNote names the fields that are accepted without effect; empty when there are none.
func unservedNote(spec helmv1beta1.ReleaseSpec) string {
	var fields []string
	if len(spec.ConnectionDetails) > 0 {
		fields = append(fields, "spec.connectionDetails")
	}
	if spec.WriteConnectionSecretToReference != nil {
		fields = append(fields, "spec.writeConnectionSecretToRef")
	}
	if len(fields) == 0 {
		return ""
	}
	return strings.Join(fields, " and ") + " have no effect in this version; catalog charts write a binding Secret instead"
}

// helmName is the name of the Helm release.
func helmName(rel *helmv1beta1.Release) string {
	if name := rel.Annotations[platformv1alpha1.AnnotationExternalName]; name != "" {
		return name
	}
	return rel.Name
}

// wantedOf reads what bounds the attempts; Inputs are filled in once chart and values are known.
func wantedOf(rel *helmv1beta1.Release) wanted {
	w := wanted{Generation: rel.Generation, Wait: rel.Spec.ForProvider.Wait, WaitTimeout: defaultWaitTimeout}
	if timeout := rel.Spec.ForProvider.WaitTimeout; timeout != nil && timeout.Duration > 0 {
		w.WaitTimeout = timeout.Duration
	}
	if limit := rel.Spec.RollbackLimit; limit != nil {
		w.Attempts = int(*limit) + 1
	}
	return w
}

// sooner is the earlier of two pauses, where 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}
