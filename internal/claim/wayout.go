// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/status"
)

// deliveryWayOut is pure: why a delivery is held up -> what ends that, as the end of a sentence. Only
// what is written in the repository is mended by a push.
func deliveryWayOut(claim *v1alpha1.ApplicationClaim, o observed) string {
	target, says := request.Target(claim.Spec), func(typ string) bool {
		return slices.ContainsFunc(o.delivery.Status.Conditions, func(c argov1alpha1.ApplicationCondition) bool { return c.Type == typ })
	}
	var env []metav1.Condition
	if o.environment != nil {
		env = o.environment.Status.Conditions
	}
	switch {
	case o.project == nil:
		return fmt.Sprintf("it goes on by itself when AppProject %s/%s is made again", o.delivery.Namespace, o.delivery.Spec.Project)
	case says(argov1alpha1.ConditionDestinationUnreachable), !status.IsTrue(env, v1alpha1.ConditionEnvironmentReady):
		return fmt.Sprintf("it goes on by itself when virtual cluster %s answers; why it does not: `skerry kubectl describe virtualcluster %s`", target, target)
	case !status.IsTrue(env, v1alpha1.ConditionRegistered):
		return fmt.Sprintf("it goes on by itself when virtual cluster %s is registered again; why it is not: `skerry kubectl describe virtualcluster %s`", target, target)
	case says(argov1alpha1.ConditionRepositoryUnreachable), !repositoryReady(o.gitops):
		return fmt.Sprintf("it goes on by itself when %s can be read; is its Git server at work? `skerry kubectl -n %s describe repository %s`",
			repositoryURL(o), claim.Namespace, request.GitOpsRepository(claim.Spec.Name))
	}
	return fmt.Sprintf("correct it in %s and push", repositoryURL(o))
}

// repositoryReady reports whether a repository is ready, and was so with what is asked of it now.
func repositoryReady(r *v1alpha1.Repository) bool {
	if r == nil {
		return false
	}
	c := status.Get(r.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration >= r.Generation
}

func repositoryURL(o observed) string {
	if o.gitops == nil {
		return "the GitOps repository"
	}
	return cmp.Or(o.gitops.Status.URL, o.gitops.Status.CloneURL, o.gitops.Spec.Name)
}
