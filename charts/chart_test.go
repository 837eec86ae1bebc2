// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

// rendered returns the chart's documents with the given values, without a cluster.
func rendered(t *testing.T, values map[string]any) []string {
	t.Helper()
	chart, err := loader.LoadDir("skerry")
	if err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(chart, values, common.ReleaseOptions{Name: "skerry", Namespace: "skerry-system", IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for name, text := range files {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, doc := range strings.Split(text, "\n---") {
			if strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(doc), "---")) != "" {
				out = append(out, doc)
			}
		}
	}
	return out
}

func decode[T any](t *testing.T, doc string) T {
	t.Helper()
	var o T
	if err := yaml.UnmarshalStrict([]byte(doc), &o); err != nil {
		t.Fatalf("%v in:\n%s", err, doc)
	}
	return o
}

// Every Pod of the platform runs without root, without capabilities, on a read-only root.
func TestPodsAreHardened(t *testing.T) {
	seen := 0
	for _, doc := range rendered(t, nil) {
		var spec corev1.PodSpec
		var name string
		switch {
		case strings.Contains(doc, "\nkind: Deployment\n"):
			d := decode[appsv1.Deployment](t, doc)
			name, spec = d.Name, d.Spec.Template.Spec
		case strings.Contains(doc, "\nkind: StatefulSet\n"):
			s := decode[appsv1.StatefulSet](t, doc)
			name, spec = s.Name, s.Spec.Template.Spec
		default:
			continue
		}
		seen++
		if p := spec.SecurityContext; p == nil || p.RunAsNonRoot == nil || !*p.RunAsNonRoot || p.SeccompProfile == nil {
			t.Errorf("%s: Pod security context is %+v, want runAsNonRoot and a seccomp profile", name, p)
		}
		for _, c := range spec.Containers {
			s := c.SecurityContext
			if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
				s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
				s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") {
				t.Errorf("%s/%s: security context is %+v", name, c.Name, s)
			}
			if c.ReadinessProbe == nil || c.LivenessProbe == nil {
				t.Errorf("%s/%s: has no probes", name, c.Name)
			}
			if c.Resources.Requests.Memory().IsZero() {
				t.Errorf("%s/%s: requests no memory", name, c.Name)
			}
		}
	}
	if seen != 4 {
		t.Errorf("the chart has %d workloads, want operator, pool, etcd and Git server", seen)
	}
}

// No role has a wildcard, and impersonation and binding are limited by name.
func TestRolesAreLeastPrivilege(t *testing.T) {
	seen := 0
	for _, doc := range rendered(t, nil) {
		if !strings.Contains(doc, "\nkind: ClusterRole\n") && !strings.Contains(doc, "\nkind: Role\n") {
			continue
		}
		seen++
		role := decode[rbacv1.ClusterRole](t, doc)
		for _, rule := range role.Rules {
			for _, words := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
				if slices.Contains(words, "*") {
					t.Errorf("%s has a wildcard: %v", role.Name, rule)
				}
			}
			for _, verb := range []string{"impersonate", "bind", "escalate"} {
				if slices.Contains(rule.Verbs, verb) && len(rule.ResourceNames) == 0 {
					t.Errorf("%s may %s anything: %v", role.Name, verb, rule)
				}
			}
		}
	}
	if seen < 7 {
		t.Errorf("found only %d roles", seen)
	}
}

// Left to Argo CD, the namespace of its objects is where the values say.
func TestArgoNamespaceIsAValue(t *testing.T) {
	docs := strings.Join(rendered(t, map[string]any{"gitops": map[string]any{"argocdNamespace": "cd", "engine": "argocd"}}), "\n")
	for _, want := range []string{"--argocd-namespace=cd", "--gitops-engine=argocd", "namespace: cd"} {
		if !strings.Contains(docs, want) {
			t.Errorf("rendered chart has no %q", want)
		}
	}
	if strings.Contains(docs, "namespace: argocd") {
		t.Error("something still stands in namespace argocd")
	}
}

// A mistake in the values is told with its place before anything is installed.
func TestValuesAreChecked(t *testing.T) {
	chart, err := loader.LoadDir("skerry")
	if err != nil {
		t.Fatal(err)
	}
	if err := util.ValidateAgainstSchema(chart, chart.Values); err != nil {
		t.Fatalf("the chart's own values are refused: %v", err)
	}
	for name, c := range map[string]struct {
		values string
		says   []string
	}{
		"misspelt":      {"operator: {replica: 2}", []string{"/operator", "replica"}},
		"wrong type":    {"operator: {replicas: two}", []string{"/operator/replicas", "integer"}},
		"wrong engine":  {"gitops: {engine: flux}", []string{"/gitops/engine", "builtin", "argocd"}},
		"wrong size":    {"etcd: {storage: much}", []string{"/etcd/storage"}},
		"no endpoints":  {"etcd: {external: true}", []string{"/etcd/endpoints"}},
		"plain etcd":    {`etcd: {external: true, endpoints: ["http://etcd:2379"]}`, []string{"/etcd/endpoints/0"}},
		"unknown level": {"operator: {logLevel: loud}", []string{"/operator/logLevel", "debug"}},
	} {
		t.Run(name, func(t *testing.T) {
			values := map[string]any{}
			if err := yaml.Unmarshal([]byte(c.values), &values); err != nil {
				t.Fatal(err)
			}
			_, err := util.ToRenderValues(chart, values, common.ReleaseOptions{}, common.DefaultCapabilities)
			for _, want := range c.says {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q in it", err, want)
				}
			}
		})
	}
}

// With one replica a budget would block every drain; with more there is one for each. Policies are asked for.
func TestBudgetsAndPolicies(t *testing.T) {
	kinds := func(values map[string]any) (found []string) {
		for _, doc := range rendered(t, values) {
			o := decode[unstructured.Unstructured](t, doc)
			if k := o.GetKind(); k == "PodDisruptionBudget" || k == "NetworkPolicy" {
				found = append(found, k+" "+o.GetName())
			}
		}
		slices.Sort(found)
		return found
	}
	if got := kinds(nil); len(got) > 0 {
		t.Errorf("by default there are %v", got)
	}
	two := map[string]any{"replicas": 2}
	got := kinds(map[string]any{"operator": two, "pool": two, "networkPolicy": map[string]any{"enabled": true}, "priorityClassName": "high"})
	want := []string{"NetworkPolicy skerry-etcd", "NetworkPolicy skerry-operator", "PodDisruptionBudget skerry-operator", "PodDisruptionBudget skerry-pool"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The notes are for a person, and say after an upgrade what Helm does not do.
func TestNotes(t *testing.T) {
	chart, err := loader.LoadDir("skerry")
	if err != nil {
		t.Fatal(err)
	}
	for upgrade, want := range map[bool]string{false: "skerry create", true: "helm show crds"} {
		values, err := util.ToRenderValues(chart, nil, common.ReleaseOptions{Name: "skerry", Namespace: "skerry-system", IsInstall: !upgrade, IsUpgrade: upgrade}, common.DefaultCapabilities)
		if err != nil {
			t.Fatal(err)
		}
		files, err := engine.Render(chart, values)
		if err != nil {
			t.Fatal(err)
		}
		if notes := files["skerry/templates/NOTES.txt"]; !strings.Contains(notes, want) {
			t.Errorf("upgrade %t: the notes do not say %q:\n%s", upgrade, want, notes)
		}
	}
}
