// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.crossplane.io/v1beta1"
	helmmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim"
	"github.com/skerry-platform/skerry/internal/etcd/etcdtest"
	"github.com/skerry-platform/skerry/internal/gitops"
	"github.com/skerry-platform/skerry/internal/helm"
	"github.com/skerry-platform/skerry/internal/quota"
	"github.com/skerry-platform/skerry/internal/register"
	"github.com/skerry-platform/skerry/internal/repo"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
	"github.com/skerry-platform/skerry/internal/vcluster"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	testenv.Main(m)
}

const (
	operator = "system:serviceaccount:skerry-system:skerry-operator"
	pool     = "system:serviceaccount:skerry-system:skerry-pool"
	tenant   = "system:serviceaccount:bay:skerry-tenant"
)

// TestRightsAreEnoughAndNoMore installs the chart's roles, lets the operator make a virtual cluster
// and a host namespace with nothing but these, and asks what each identity may do then.
func TestRightsAreEnoughAndNoMore(t *testing.T) {
	env := testenv.Start(t, testenv.WithScheme(helmv1beta1.AddToScheme, helmmv1beta1.AddToScheme, argov1alpha1.AddToScheme))
	installRights(t, env)
	runAsOperator(t, env)
	cpu := resource.MustParse("1")
	vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "bay"}, Spec: v1alpha1.VirtualClusterSpec{Quota: &v1alpha1.Quota{CPU: &cpu}}}
	if err := env.Client.Create(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		return isTrue(ctx, env, vc, v1alpha1.ConditionPrepared, func() []metav1.Condition { return vc.Status.Conditions })
	})
	vns := &v1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: "bay", Name: "default"}}
	if err := as(t, env, tenant).Create(t.Context(), vns); err != nil {
		t.Fatalf("the tenant asks for a host namespace: %v", err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		return isTrue(ctx, env, vns, v1alpha1.ConditionReady, func() []metav1.Condition { return vns.Status.Conditions })
	})
	if err := as(t, env, tenant).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "bay--default", Name: "x"}}); err != nil {
		t.Errorf("the tenant works in its host namespace: %v", err)
	}
	refusesMoreThanTheQuota(t, env, vc)
	refusesExternalIPs(t, env)

	for _, c := range []struct {
		who, verb, resource, group, namespace, name string
		may                                         bool
	}{
		{operator, "impersonate", "serviceaccounts", "", "bay", "skerry-tenant", true},
		{operator, "impersonate", "serviceaccounts", "", "kube-system", "default", false},
		{operator, "impersonate", "users", "", "", "skerry:admin", false},
		{operator, "bind", "clusterroles", "rbac.authorization.k8s.io", "", "skerry-tenant", true},
		{operator, "bind", "clusterroles", "rbac.authorization.k8s.io", "", "cluster-admin", false},
		{operator, "create", "clusterroles", "rbac.authorization.k8s.io", "", "", false},
		{operator, "create", "clusterrolebindings", "rbac.authorization.k8s.io", "", "", false},
		{operator, "delete", "releases", "helm.m.crossplane.io", "bay--default", "db", true},
		{operator, "create", "pods", "", "bay--default", "", false},
		{operator, "create", "applications", "argoproj.io", "argocd", "", true},
		{operator, "create", "applications", "argoproj.io", "default", "", false},
		{operator, "update", "nodes", "", "", "n", false},

		{pool, "patch", "virtualclusters/status", "platform.skerry.dev", "", "bay", true},
		{pool, "create", "virtualclusters", "platform.skerry.dev", "", "", false},
		{pool, "delete", "virtualclusters", "platform.skerry.dev", "", "bay", false},
		{pool, "update", "leases", "coordination.k8s.io", "skerry-system", "vc-bay", true},
		{pool, "update", "leases", "coordination.k8s.io", "kube-node-lease", "n", false},
		{pool, "list", "nodes", "", "", "", true},
		{pool, "get", "secrets", "", "bay", "bay-control-plane", true},
		{pool, "get", "secrets", "", "skerry-system", "skerry-etcd-tls", false},
		{pool, "get", "secrets", "", "bay--default", "x", false},
		{pool, "create", "serviceaccounts/token", "", "bay", "skerry-tenant", true},
		{pool, "create", "serviceaccounts/token", "", "bay", "default", false},
		{pool, "create", "serviceaccounts/token", "", "skerry-system", "skerry-operator", false},
		{pool, "update", "endpointslices", "discovery.k8s.io", "bay", "bay", true},
		{pool, "update", "endpointslices", "discovery.k8s.io", "default", "kubernetes", false},
		{pool, "create", "pods", "", "bay--default", "", false},
		{pool, "list", "persistentvolumes", "", "", "", false},

		{tenant, "create", "pods", "", "bay--default", "", true},
		{tenant, "get", "pods/log", "", "bay--default", "x", true},
		{tenant, "create", "releases", "helm.m.crossplane.io", "bay--default", "", true},
		{tenant, "update", "releases/status", "helm.m.crossplane.io", "bay--default", "x", false},
		{tenant, "create", "pods/binding", "", "bay--default", "x", false},
		{tenant, "update", "resourcequotas", "", "bay--default", "virtual-cluster-share", false},
		{tenant, "patch", "virtualnamespaces", "platform.skerry.dev", "bay", "default", false},
		{tenant, "get", "secrets", "", "bay", "bay-control-plane", false},
		{tenant, "create", "pods", "", "bay", "", false},
		{tenant, "create", "pods", "", "default", "", false},
		{tenant, "create", "namespaces", "", "", "", false},
		{tenant, "patch", "namespaces", "", "", "bay--default", false},
		{tenant, "list", "nodes", "", "", "", false},
		{tenant, "get", "persistentvolumes", "", "", "pv", false},
		{tenant, "list", "virtualnamespaces", "platform.skerry.dev", "cove", "", false},
	} {
		name, sub, _ := strings.Cut(c.resource, "/")
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: c.who, Groups: []string{"system:serviceaccounts", "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: c.verb, Group: c.group, Resource: name, Subresource: sub, Namespace: c.namespace, Name: c.name,
			},
		}}
		if err := env.Client.Create(t.Context(), review); err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed != c.may {
			t.Errorf("%s may %s %s.%s %s/%s: %v, want %v", c.who, c.verb, c.resource, c.group, c.namespace, c.name, review.Status.Allowed, c.may)
		}
	}
}

// refusesMoreThanTheQuota goes the way of a refusal: the tenant leaves an Event, the operator reads it.
func refusesMoreThanTheQuota(t *testing.T, env *testenv.Env, vc *v1alpha1.VirtualCluster) {
	t.Helper()
	two := resource.MustParse("2")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "bay--default", Name: "big"}, Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "c", Image: "example.org/c", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: two}}},
	}}}
	config := rest.CopyConfig(env.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: tenant}
	c, err := client.New(quota.ReportRefusals(config), client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := c.Create(ctx, pod.DeepCopy()); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota") {
			return fmt.Errorf("a Pod above the total got %v", err)
		}
		return nil
	})
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
			return err
		}
		if c := status.Get(vc.Status.Conditions, v1alpha1.ConditionWithinQuota); c == nil || c.Status != metav1.ConditionFalse {
			return fmt.Errorf("WithinQuota is %+v", c)
		}
		return nil
	})
}

func refusesExternalIPs(t *testing.T, env *testenv.Env) {
	t.Helper()
	service := func(ips ...string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "bay--default", Name: "web"},
			Spec: corev1.ServiceSpec{ExternalIPs: ips, Ports: []corev1.ServicePort{{Port: 80}}}}
	}
	c := as(t, env, tenant)
	testenv.Eventually(t, func(ctx context.Context) error { // a policy takes a moment to be in force
		err := c.Create(ctx, service("10.96.0.1"), client.DryRunAll)
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "use type LoadBalancer") {
			return fmt.Errorf("a Service with an external IP got %v", err)
		}
		return nil
	})
	if err := c.Create(t.Context(), service(), client.DryRunAll); err != nil {
		t.Errorf("a Service without: %v", err)
	}
}

// installRights applies the chart's namespaces, identities and roles.
func installRights(t *testing.T, env *testenv.Env) {
	t.Helper()
	apply := func(u *unstructured.Unstructured) {
		if err := env.Client.Create(t.Context(), u); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatalf("creating %s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
	system := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	system.SetName("skerry-system")
	apply(system)
	kinds := map[string][]*unstructured.Unstructured{}
	for _, doc := range rendered(t, nil) {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		switch u.GetKind() {
		case "ServiceAccount", "Role", "RoleBinding":
			if u.GetNamespace() == "" {
				u.SetNamespace("skerry-system")
			}
		}
		kinds[u.GetKind()] = append(kinds[u.GetKind()], u)
	}
	for _, kind := range []string{"Namespace", "ServiceAccount", "ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
		for _, u := range kinds[kind] {
			apply(u)
		}
	}
}

// started follows the manager's log: which controllers have begun to watch, and which have all
// that they watch. One that may not watch something never gets there.
type started struct {
	mu               sync.Mutex
	watches, working map[string]bool
}

func (s *started) line(_, args string) {
	_, rest, found := strings.Cut(args, `"controller"="`)
	if !found {
		return
	}
	name, _, _ := strings.Cut(rest, `"`)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[name] = true
	if strings.Contains(args, `"msg"="Starting workers"`) {
		s.working[name] = true
	}
}

func (s *started) all(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.watches) < 10 || len(s.watches) != len(s.working) {
		return fmt.Errorf("of the controllers %v only %v could read all that they watch",
			slices.Sorted(maps.Keys(s.watches)), slices.Sorted(maps.Keys(s.working)))
	}
	return nil
}

// runAsOperator starts the stations of the operator as its ServiceAccount.
func runAsOperator(t *testing.T, env *testenv.Env) {
	t.Helper()
	config := rest.CopyConfig(env.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: operator}
	begun := &started{watches: map[string]bool{}, working: map[string]bool{}}
	argocd := cache.ByObject{Namespaces: map[string]cache.Config{"argocd": {}}}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: env.Scheme, Metrics: server.Options{BindAddress: "0"}, Logger: funcr.New(begun.line, funcr.Options{}),
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: argocd, &argov1alpha1.Application{}: argocd, &argov1alpha1.AppProject{}: argocd,
		}},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	etcd := etcdtest.Start(t)
	for _, err := range []error{
		claim.SetupWithManager(mgr, claim.Options{DemoImage: "demo"}),
		repo.SetupWithManager(mgr, repo.Options{}),
		vcluster.SetupWithManager(mgr, vcluster.Options{Etcd: etcd.Admin(), EtcdTLSDir: etcd.Dir}),
		register.SetupWithManager(mgr, register.Options{}),
		gitops.SetupWithManager(mgr, gitops.Options{}),
		helm.SetupWithManager(mgr, helm.Options{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the operator stopped: %v", err)
		}
	})
	testenv.Eventually(t, begun.all)
}

// as is a client with nothing but the user's rights.
func as(t *testing.T, env *testenv.Env, user string) client.Client {
	t.Helper()
	config := rest.CopyConfig(env.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	c, err := client.New(config, client.Options{Scheme: env.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func isTrue(ctx context.Context, env *testenv.Env, obj client.Object, typ string, conds func() []metav1.Condition) error {
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		return err
	}
	if !status.IsTrue(conds(), typ) {
		return fmt.Errorf("%s of %s is %+v", typ, obj.GetName(), status.Get(conds(), typ))
	}
	return nil
}

// An external etcd has no StatefulSet, no Secret of the chart's, and must be named.
func TestExternalEtcd(t *testing.T) {
	values := map[string]any{"etcd": map[string]any{"external": true, "endpoints": []any{"https://a:2379", "https://b:2379"}}}
	docs := strings.Join(rendered(t, values), "\n---\n")
	if strings.Contains(docs, "name: skerry-etcd\n") {
		t.Error("the chart's own etcd is rendered beside an external one")
	}
	if n := strings.Count(docs, "--etcd-endpoints=https://a:2379,https://b:2379"); n != 2 {
		t.Errorf("%d programs are told of the external etcd, want operator and pool", n)
	}
	if strings.Contains(docs, "ca.key:") {
		t.Error("the chart makes Secret skerry-etcd-tls, which is the owner's of the etcd")
	}
}
