// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
)

// size is the quota of an environment's size.
type size struct{ cpu, memory, storage string }

func sizes() map[string]size {
	return map[string]size{
		"small":  {"2", "4Gi", "10Gi"},
		"medium": {"4", "8Gi", "20Gi"},
		"large":  {"8", "16Gi", "50Gi"},
		"xlarge": {"16", "32Gi", "100Gi"},
	}
}

const defaultSize = "medium"

// checkEnvironment returns a *request.Error for what cannot be made. served is the version of
// Kubernetes that this platform serves, without v; empty when not known.
func checkEnvironment(spec v1alpha1.VClusterEnvironmentClaimSpec, served string) error {
	var problems []request.Problem
	add := func(field, message string) {
		if message != "" {
			problems = append(problems, request.Problem{Field: field, Message: message})
		}
	}
	add("spec.name", request.CheckName(spec.Name))
	add("spec.size", request.CheckSize(cmp.Or(spec.Size, defaultSize)))
	if spec.Placement != "" && spec.Placement != v1alpha1.PlacementShared {
		add("spec.placement", fmt.Sprintf("this version serves %q only", v1alpha1.PlacementShared))
	}
	asked := strings.TrimPrefix(spec.KubernetesVersion, "v")
	if served != "" && asked != "" && asked != served && !strings.HasPrefix(served, asked+".") {
		add("spec.kubernetesVersion", fmt.Sprintf("%s is not served; this platform serves %s: leave the field out", asked, served))
	}
	if len(problems) == 0 {
		return nil
	}
	return &request.Error{Problems: problems}
}

// planEnvironment is pure. The claim has passed checkEnvironment.
func planEnvironment(claim *v1alpha1.VClusterEnvironmentClaim) *v1alpha1.VirtualCluster {
	vc := &v1alpha1.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.Name, Labels: map[string]string{v1alpha1.LabelClaim: label(claim)}},
		Spec: v1alpha1.VirtualClusterSpec{
			Placement: cmp.Or(claim.Spec.Placement, v1alpha1.PlacementShared),
			Quota:     quota(claim.Spec),
		},
	}
	if wantsGitOps(claim) {
		vc.Spec.GitOps = &v1alpha1.GitOpsAccess{}
	}
	return vc
}

func wantsGitOps(claim *v1alpha1.VClusterEnvironmentClaim) bool {
	c := claim.Spec.Capabilities
	return c == nil || c.GitOps == nil || *c.GitOps
}

// quota of the size, with the claim's own figures in place of single ones.
func quota(spec v1alpha1.VClusterEnvironmentClaimSpec) *v1alpha1.Quota {
	s := sizes()[cmp.Or(spec.Size, defaultSize)]
	own := v1alpha1.EnvironmentResources{}
	if spec.Resources != nil {
		own = *spec.Resources
	}
	pick := func(own *resource.Quantity, of string) *resource.Quantity {
		if own != nil {
			q := own.DeepCopy()
			return &q
		}
		q := resource.MustParse(of)
		return &q
	}
	return &v1alpha1.Quota{
		CPU: pick(own.CPULimit, s.cpu), Memory: pick(own.MemoryLimit, s.memory), Storage: pick(own.StorageSize, s.storage),
	}
}
