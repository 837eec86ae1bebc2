// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/catalog"
	"github.com/skerry-platform/skerry/internal/claim/request"
)

// facts are what the plan needs to know of the world.
type facts struct {
	// joins is set when the environment is there and was made by somebody else.
	joins bool
	// repoURL and branch of the GitOps repository; empty until it is known.
	repoURL, branch string
	// registered is set when the GitOps engine knows the virtual cluster.
	registered bool
}

// plan is everything that an ApplicationClaim makes on the host, in the order in which it
// is made. Project and delivery are nil until the repository and the environment
// are there to be named.
type plan struct {
	source, gitops *v1alpha1.Repository
	environment    *v1alpha1.VClusterEnvironmentClaim
	project        *argov1alpha1.AppProject
	delivery       *argov1alpha1.Application
}

func (p plan) objects() []client.Object {
	objs := []client.Object{p.source, p.gitops}
	if p.environment != nil {
		objs = append(objs, p.environment)
	}
	if p.project != nil {
		objs = append(objs, p.project, p.delivery)
	}
	return objs
}

// planApplication is pure. The claim has passed request.Check.
func planApplication(claim *v1alpha1.ApplicationClaim, f facts, opts Options) (plan, error) {
	file, err := applicationFile(claim, opts)
	if err != nil {
		return plan{}, err
	}
	template, err := catalog.TemplateFor(claim.Spec.Language, claim.Spec.Framework)
	if err != nil {
		return plan{}, err
	}
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.LabelClaim: label(claim)}}
	}
	name := claim.Spec.Name
	p := plan{
		source: &v1alpha1.Repository{ObjectMeta: meta(claim.Namespace, request.SourceRepository(name)),
			Spec: repositorySpec(claim, request.SourceRepository(name), v1alpha1.RepositorySource)},
		gitops: &v1alpha1.Repository{ObjectMeta: meta(claim.Namespace, request.GitOpsRepository(name)),
			Spec: repositorySpec(claim, request.GitOpsRepository(name), v1alpha1.RepositoryGitOps)},
	}
	p.source.Spec.Template = template.Name
	if claim.Spec.Repository != nil && claim.Spec.Repository.Template != "" {
		p.source.Spec.Template = claim.Spec.Repository.Template
	}
	p.gitops.Spec.Files = map[string]string{
		request.GitOpsPath + "/application.yaml": file,
		"README.md":                              gitopsReadme(name, request.Target(claim.Spec)),
	}
	if !f.joins {
		p.environment = &v1alpha1.VClusterEnvironmentClaim{ObjectMeta: meta(claim.Namespace, request.Target(claim.Spec)),
			Spec: v1alpha1.VClusterEnvironmentClaimSpec{Name: request.Target(claim.Spec), Size: claim.Spec.Size}}
	}
	if f.repoURL != "" && f.registered {
		p.project = &argov1alpha1.AppProject{ObjectMeta: meta(opts.ArgoNamespace, name), Spec: projectSpec(claim, f)}
		p.delivery = &argov1alpha1.Application{ObjectMeta: meta(opts.ArgoNamespace, request.Delivery(name)), Spec: deliverySpec(claim, f)}
		p.delivery.Finalizers = []string{argov1alpha1.ResourcesFinalizer}
	}
	return p, nil
}

func repositorySpec(claim *v1alpha1.ApplicationClaim, name string, role v1alpha1.RepositoryRole) v1alpha1.RepositorySpec {
	spec := v1alpha1.RepositorySpec{Name: name, Role: role, DeletionPolicy: claim.Spec.DeletionPolicy}
	if r := claim.Spec.Repository; r != nil {
		spec.Provider, spec.Owner, spec.Visibility = r.Provider, r.Owner, r.Visibility
	}
	return spec
}

// projectSpec allows one repository into one cluster. Which kinds may be written there is
// the business of the GitOps engine's role in the virtual cluster.
func projectSpec(claim *v1alpha1.ApplicationClaim, f facts) argov1alpha1.AppProjectSpec {
	return argov1alpha1.AppProjectSpec{
		Description:              "Application " + claim.Spec.Name + ", made for ApplicationClaim " + claim.Namespace + "/" + claim.Name,
		SourceRepos:              []string{f.repoURL},
		Destinations:             []argov1alpha1.ApplicationDestination{{Name: request.Target(claim.Spec), Namespace: "*"}},
		ClusterResourceWhitelist: []argov1alpha1.GroupKind{{Group: "", Kind: "Namespace"}},
	}
}

func deliverySpec(claim *v1alpha1.ApplicationClaim, f facts) argov1alpha1.ApplicationSpec {
	return argov1alpha1.ApplicationSpec{
		Project: claim.Spec.Name,
		Source: &argov1alpha1.ApplicationSource{
			RepoURL: f.repoURL, Path: request.GitOpsPath, TargetRevision: cmp.Or(f.branch, "main"),
		},
		Destination: argov1alpha1.ApplicationDestination{Name: request.Target(claim.Spec), Namespace: request.ApplicationNamespace},
		SyncPolicy: &argov1alpha1.SyncPolicy{
			Automated:   &argov1alpha1.SyncPolicyAutomated{Prune: true, SelfHeal: true},
			SyncOptions: []string{"CreateNamespace=true", "ServerSideApply=true"},
			Retry: &argov1alpha1.RetryStrategy{
				Limit:   5,
				Backoff: &argov1alpha1.Backoff{Duration: "5s", Factor: ptr.To[int64](2), MaxDuration: "3m"},
			},
		},
	}
}
