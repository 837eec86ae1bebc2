// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/status"
)

// observed is what there is of a claim's plan; nil for what is not there.
type observed struct {
	source, gitops *v1alpha1.Repository
	// environment of the claim's namespace that has the target's name.
	environment *v1alpha1.VClusterEnvironmentClaim
	project     *argov1alpha1.AppProject
	delivery    *argov1alpha1.Application
}

// children are the objects that are there, without the environment that the claim only joins.
func (o observed) children(claim client.Object) []client.Object {
	var out []client.Object
	if o.source != nil {
		out = append(out, o.source)
	}
	if o.gitops != nil {
		out = append(out, o.gitops)
	}
	if o.environment != nil && made(o.environment, claim) {
		out = append(out, o.environment)
	}
	if o.project != nil {
		out = append(out, o.project)
	}
	if o.delivery != nil {
		out = append(out, o.delivery)
	}
	return out
}

// facts of the plan.
func (o observed) facts(claim *v1alpha1.ApplicationClaim) facts {
	f := facts{joins: o.environment != nil && !made(o.environment, claim)}
	if repositoryReady(o.gitops) {
		f.repoURL, f.branch = o.gitops.Status.CloneURL, o.gitops.Status.Branch
	}
	if o.environment != nil {
		f.registered = status.IsTrue(o.environment.Status.Conditions, v1alpha1.ConditionRegistered)
	}
	// What was delivered once stays: a registration that is renewed, or a repository that
	// cannot be read for a while, must not prune the application.
	if o.delivery != nil && o.delivery.Spec.Source != nil {
		f.registered = true
		f.repoURL = o.delivery.Spec.Source.RepoURL
		f.branch = o.delivery.Spec.Source.TargetRevision
		if o.gitops != nil && o.gitops.Status.CloneURL != "" {
			f.repoURL = o.gitops.Status.CloneURL
		}
	}
	return f
}

// taken returns an error when a child is there that was made for somebody else.
func (o observed) taken(claim *v1alpha1.ApplicationClaim) error {
	for _, child := range []struct {
		kind string
		obj  client.Object
	}{
		{"Repository", nilable(o.source)}, {"Repository", nilable(o.gitops)},
		{"AppProject", nilable(o.project)}, {"Application", nilable(o.delivery)},
	} {
		if child.obj == nil || made(child.obj, claim) {
			continue
		}
		owner := "it was not made by the platform"
		if l := child.obj.GetLabels()[v1alpha1.LabelClaim]; l != "" {
			owner = "it was made for claim " + strings.Replace(l, ".", "/", 1)
		}
		return taken("spec.name: %q cannot be used: %s %s/%s exists and %s; choose another name",
			claim.Spec.Name, child.kind, child.obj.GetNamespace(), child.obj.GetName(), owner)
	}
	return nil
}

// nilable turns a nil pointer into a nil interface.
func nilable[T any, P interface {
	*T
	client.Object
}](p P) client.Object {
	if p == nil {
		return nil
	}
	return p
}

// observe reads a claim's children through the cache.
func (r *applicationReconciler) observe(ctx context.Context, claim *v1alpha1.ApplicationClaim) (observed, error) {
	var o observed
	name := claim.Spec.Name
	var err error
	if o.source, err = get(ctx, r.client, claim.Namespace, request.SourceRepository(name), &v1alpha1.Repository{}); err != nil {
		return o, err
	}
	if o.gitops, err = get(ctx, r.client, claim.Namespace, request.GitOpsRepository(name), &v1alpha1.Repository{}); err != nil {
		return o, err
	}
	if o.project, err = get(ctx, r.client, r.opts.ArgoNamespace, name, &argov1alpha1.AppProject{}); err != nil {
		return o, err
	}
	if o.delivery, err = get(ctx, r.client, r.opts.ArgoNamespace, request.Delivery(name), &argov1alpha1.Application{}); err != nil {
		return o, err
	}
	o.environment, err = r.environment(ctx, claim)
	return o, err
}

// environment finds the VClusterEnvironmentClaim for the target in the claim's namespace: the one
// made for this claim, else the oldest.
func (r *applicationReconciler) environment(ctx context.Context, claim *v1alpha1.ApplicationClaim) (*v1alpha1.VClusterEnvironmentClaim, error) {
	var list v1alpha1.VClusterEnvironmentClaimList
	target := request.Target(claim.Spec)
	if err := r.client.List(ctx, &list, client.InNamespace(claim.Namespace), client.MatchingFields{indexName: target}); err != nil {
		return nil, fmt.Errorf("looking for the environment %s: %w", target, err)
	}
	if len(list.Items) == 0 {
		return nil, nil
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.VClusterEnvironmentClaim) int {
		if ours := made(&a, claim); ours != made(&b, claim) {
			if ours {
				return -1
			}
			return 1
		}
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	return &list.Items[0], nil
}

// get returns the object, or nil when there is none.
func get[T any, P interface {
	*T
	client.Object
}](ctx context.Context, c client.Reader, namespace, name string, into P) (P, error) {
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s/%s: %w", namespace, name, err)
	}
	return into, nil
}
