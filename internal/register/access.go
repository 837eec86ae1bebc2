// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package register

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applyrbacv1 "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// The GitOps engine's identity in a virtual cluster, named as `argocd cluster add` does.
const (
	managerNamespace = "kube-system"
	managerAccount   = "argocd-manager"
	managerRole      = "argocd-manager-role"
	managerBinding   = "argocd-manager-role-binding"

	fieldOwner = "skerry-register"
)

// defaultResources are what the engine may write when spec.gitops.resources is empty.
func defaultResources() []string {
	return []string{"applications.core.oam.dev", "namespaces", "configmaps", "secrets"}
}

// resource is one entry of spec.gitops.resources: "configmaps", or "resource.group".
type resource struct{ group, name string }

// parseResources reads spec.gitops.resources, or the default when it is empty. "*" is refused:
// the engine would be the virtual cluster's administrator.
func parseResources(entries []string) ([]resource, error) {
	if len(entries) == 0 {
		entries = defaultResources()
	}
	out := make([]resource, 0, len(entries))
	for i, e := range entries {
		name, group, _ := strings.Cut(e, ".")
		if name == "" || strings.ContainsAny(e, "*/ ") || strings.HasSuffix(e, ".") || strings.ToLower(e) != e {
			return nil, fmt.Errorf("spec.gitops.resources[%d] is %q: write the plural resource, with its group if it has one (configmaps, applications.core.oam.dev)", i, e)
		}
		out = append(out, resource{group: group, name: name})
	}
	return out, nil
}

// role lets the engine read everything and write the given resources. Reading everything
// is what Argo CD's cache asks for, and it includes all Secrets, binding Secrets too:
// whoever holds the token may read the credentials of the virtual cluster's services.
func role(resources []resource) *applyrbacv1.ClusterRoleApplyConfiguration {
	out := applyrbacv1.ClusterRole(managerRole).WithRules(
		applyrbacv1.PolicyRule().WithAPIGroups("*").WithResources("*").WithVerbs("get", "list", "watch"),
		applyrbacv1.PolicyRule().WithNonResourceURLs("*").WithVerbs("get"),
	)
	for _, r := range resources {
		out.WithRules(applyrbacv1.PolicyRule().WithAPIGroups(r.group).WithResources(r.name).
			WithVerbs("create", "update", "patch", "delete", "deletecollection"))
	}
	return out
}

// grant gives the engine's ServiceAccount its rights in the virtual cluster.
func grant(ctx context.Context, tenant kubernetes.Interface, resources []resource) error {
	opts := metav1.ApplyOptions{FieldManager: fieldOwner, Force: true}
	account := applycorev1.ServiceAccount(managerAccount, managerNamespace).WithAutomountServiceAccountToken(false)
	binding := applyrbacv1.ClusterRoleBinding(managerBinding).
		WithRoleRef(applyrbacv1.RoleRef().WithAPIGroup("rbac.authorization.k8s.io").WithKind("ClusterRole").WithName(managerRole)).
		WithSubjects(applyrbacv1.Subject().WithKind("ServiceAccount").WithNamespace(managerNamespace).WithName(managerAccount))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := tenant.CoreV1().ServiceAccounts(managerNamespace).Apply(ctx, account, opts)
		return applying(err, "ServiceAccount "+managerNamespace+"/"+managerAccount)
	})
	group.Go(func() error {
		_, err := tenant.RbacV1().ClusterRoles().Apply(ctx, role(resources), opts)
		return applying(err, "ClusterRole "+managerRole)
	})
	group.Go(func() error {
		_, err := tenant.RbacV1().ClusterRoleBindings().Apply(ctx, binding, opts)
		return applying(err, "ClusterRoleBinding "+managerBinding)
	})
	return group.Wait()
}

func applying(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("applying %s in the virtual cluster: %w", what, err)
}

// issue asks for a token of the engine's ServiceAccount.
func issue(ctx context.Context, tenant kubernetes.Interface, life time.Duration) (token string, expires time.Time, err error) {
	req := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(life.Seconds()))}}
	got, err := tenant.CoreV1().ServiceAccounts(managerNamespace).CreateToken(ctx, managerAccount, req, metav1.CreateOptions{})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("requesting a token of ServiceAccount %s/%s in the virtual cluster: %w", managerNamespace, managerAccount, err)
	}
	return got.Status.Token, got.Status.ExpirationTimestamp.Time, nil
}
