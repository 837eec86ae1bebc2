// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

const (
	homeRole   = "test-tenant-home"
	tenantRole = "test-tenant"
)

// tenantRights is all that a syncer may do on the host: homeRole in its home namespace, tenantRole in its
// host namespaces. The chart's roles must cover it.
func tenantRights() []client.Object {
	all := []string{"get", "list", "watch", "create", "update", "patch", "delete"}
	role := func(name string, rules ...rbacv1.PolicyRule) client.Object {
		return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	}
	rule := func(group string, verbs []string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
	}
	return []client.Object{
		role(homeRole, rule("platform.skerry.dev", []string{"get", "list", "watch", "create", "delete"}, "virtualnamespaces")),
		role(tenantRole,
			rule("", all, "pods", "services", "configmaps", "secrets", "persistentvolumeclaims"),
			rule("", []string{"patch"}, "pods/status", "pods/ephemeralcontainers", "pods/resize"),
			rule("", []string{"get", "list", "watch"}, "events"),
			rule("discovery.k8s.io", all, "endpointslices"),
			rule("networking.k8s.io", all, "ingresses"),
			rule("policy", all, "poddisruptionbudgets"),
			rule("helm.m.crossplane.io", all, "releases"),
		),
	}
}

// tenantConfig acts as the virtual cluster's ServiceAccount, with no more rights than it needs.
func tenantConfig(t testing.TB, host *testenv.Env, vc string) *rest.Config {
	t.Helper()
	for _, role := range tenantRights() {
		if err := host.Client.Create(t.Context(), role); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	create(t, host.Client, tenantBinding(vc, vc, homeRole))
	cfg := rest.CopyConfig(host.Config)
	cfg.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + vc + ":" + platformv1alpha1.TenantServiceAccount,
		Groups:   []string{"system:serviceaccounts", "system:authenticated"},
	}
	return cfg
}

func tenantBinding(vc, namespace, role string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: vc, Name: platformv1alpha1.TenantServiceAccount}},
	}
}
