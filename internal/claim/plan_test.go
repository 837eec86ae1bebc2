// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

func testScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, argov1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func testOptions() Options {
	return Options{DemoImage: "skerry.dev/demo:0.1.0", ArgoNamespace: "argocd", Domain: "apps.example.com"}
}

func customerService() *v1alpha1.ApplicationClaim {
	return &v1alpha1.ApplicationClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "customer-service"},
		Spec: v1alpha1.ApplicationClaimSpec{
			Name: "customer-service", Language: "go", Database: "postgres", Cache: "redis", DeletionPolicy: v1alpha1.DeletionOrphan,
		},
	}
}

// TestPlanApplication compares everything that a claim makes with a file, because the whole is
// what people see in their cluster and in Git.
func TestPlanApplication(t *testing.T) {
	delivered := facts{repoURL: "http://10.96.0.9:80/skerry/customer-service-gitops.git", branch: "main", registered: true}
	cases := map[string]struct {
		change func(*v1alpha1.ApplicationClaim)
		facts  facts
	}{
		"everything": {func(*v1alpha1.ApplicationClaim) {}, delivered},
		"at-first":   {func(*v1alpha1.ApplicationClaim) {}, facts{}},
		"joins-an-environment": {func(c *v1alpha1.ApplicationClaim) {
			c.Spec.TargetVCluster, c.Spec.Database, c.Spec.Cache = "shop", "none", "none"
		}, facts{joins: true, repoURL: delivered.repoURL, registered: true}},
		"all-fields": {func(c *v1alpha1.ApplicationClaim) {
			c.Spec.Language, c.Spec.Framework, c.Spec.Image = "python", "fastapi", "registry.example.com:5000/customer@sha256:0123"
			c.Spec.ExposeAPI, c.Spec.Size = true, "large"
			c.Spec.DeletionPolicy = v1alpha1.DeletionDelete
			c.Spec.Repository = &v1alpha1.RepositoryRequest{Provider: "local", Owner: "shop", Visibility: "public"}
			c.Spec.Services = []v1alpha1.ServiceRequest{
				{Name: "sessions", Type: "redis", Parameters: &apiextensionsv1.JSON{Raw: []byte(`{"storage":"2Gi","resources":{"cpu":"10m"}}`)}},
				{Name: "mailer", Type: "worker"},
			}
		}, facts{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			claim := customerService()
			c.change(claim)
			p, err := planApplication(claim, c.facts, testOptions())
			if err != nil {
				t.Fatal(err)
			}
			var docs []string
			for _, o := range p.objects() {
				u, err := rendered(o, testScheme(t))
				if err != nil {
					t.Fatal(err)
				}
				text, err := yaml.Marshal(u.Object)
				if err != nil {
					t.Fatal(err)
				}
				docs = append(docs, string(text))
			}
			golden(t, name+".yaml", strings.Join(docs, "---\n"))
		})
	}
}

// golden compares with testdata/NAME, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), written by go test -update:\n%s", path, diff)
	}
}

// FuzzApplicationFile: whatever image and service a claim names, the file is YAML that says
// exactly that.
func FuzzApplicationFile(f *testing.F) {
	f.Add("skerry.dev/demo:0.1.0", "redis", `{"a":[1,{"b":null}]}`)
	f.Add("a: b # c", "- x", `"just text\n"`)
	f.Add("1.0", "true", `[]`)
	f.Fuzz(func(t *testing.T, image, typ, parameters string) {
		for _, s := range []string{image, typ, parameters} {
			if !utf8.ValidString(s) {
				t.Skip("no JSON document carries it")
			}
		}
		claim := customerService()
		claim.Spec.Image = image
		service := v1alpha1.ServiceRequest{Name: "other", Type: typ}
		var object map[string]any
		if json.Unmarshal([]byte(parameters), &object) == nil {
			service.Parameters = &apiextensionsv1.JSON{Raw: []byte(parameters)}
		}
		claim.Spec.Services = []v1alpha1.ServiceRequest{service}
		text, err := applicationFile(claim, testOptions())
		if err != nil {
			t.Fatal(err)
		}
		var app struct {
			Spec struct {
				Components []struct {
					Type       string
					Properties map[string]any
				}
			}
		}
		if err := yaml.Unmarshal([]byte(text), &app); err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		if got := app.Spec.Components[3].Type; got != typ {
			t.Errorf("type %q became %q", typ, got)
		}
		if got := app.Spec.Components[0].Properties["image"]; image != "" && got != image {
			t.Errorf("image %q became %q", image, got)
		}
	})
}

func TestPlanEnvironment(t *testing.T) {
	quantity := func(s string) *resource.Quantity { q := resource.MustParse(s); return &q }
	type spec = v1alpha1.VClusterEnvironmentClaimSpec
	cases := map[string]struct {
		spec                 spec
		cpu, memory, storage string
		gitops               bool
	}{
		"medium unless it says otherwise": {spec{}, "4", "8Gi", "20Gi", true},
		"small":                           {spec{Size: "small"}, "2", "4Gi", "10Gi", true},
		"large":                           {spec{Size: "large"}, "8", "16Gi", "50Gi", true},
		"xlarge":                          {spec{Size: "xlarge"}, "16", "32Gi", "100Gi", true},
		"one figure of its own": {spec{Size: "small", Resources: &v1alpha1.EnvironmentResources{StorageSize: quantity("64Gi")}},
			"2", "4Gi", "64Gi", true},
		"without GitOps": {spec{Capabilities: &v1alpha1.Capabilities{GitOps: ptr.To(false)}}, "4", "8Gi", "20Gi", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.spec.Name = "shop"
			claim := &v1alpha1.VClusterEnvironmentClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop"}, Spec: c.spec}
			got := planEnvironment(claim)
			want := []string{c.cpu, c.memory, c.storage}
			have := []string{got.Spec.Quota.CPU.String(), got.Spec.Quota.Memory.String(), got.Spec.Quota.Storage.String()}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Error(diff)
			}
			if (got.Spec.GitOps != nil) != c.gitops {
				t.Errorf("gitops: %v", got.Spec.GitOps)
			}
			if got.Labels[v1alpha1.LabelClaim] != "team-a.shop" {
				t.Errorf("labels: %v", got.Labels)
			}
		})
	}
}

func TestCheckEnvironment(t *testing.T) {
	type spec = v1alpha1.VClusterEnvironmentClaimSpec
	for name, c := range map[string]struct {
		spec  spec
		wants string
	}{
		"nothing but a name":      {spec{Name: "shop"}, ""},
		"the version that is":     {spec{Name: "shop", KubernetesVersion: "v1.37.2"}, ""},
		"its minor version":       {spec{Name: "shop", KubernetesVersion: "1.37"}, ""},
		"another version":         {spec{Name: "shop", KubernetesVersion: "1.3"}, "this platform serves 1.37.2"},
		"another size":            {spec{Name: "shop", Size: "huge"}, "spec.size"},
		"a placement of later":    {spec{Name: "shop", Placement: "dedicated"}, "spec.placement"},
		"the platform's own name": {spec{Name: "argocd"}, "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkEnvironment(c.spec, "1.37.2")
			if (err == nil) != (c.wants == "") || (err != nil && !strings.Contains(err.Error(), c.wants)) {
				t.Errorf("got %v, want %q", err, c.wants)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	type m = map[string]any
	type l = []any
	for name, c := range map[string]struct {
		want, have any
		is         bool
	}{
		"others may add fields":          {m{"a": 1}, m{"a": 1, "b": 2}, true},
		"a changed field":                {m{"a": 1}, m{"a": 2}, false},
		"a missing field":                {m{"a": m{"b": "x"}}, m{}, false},
		"an empty object and none":       {m{"a": m{}}, m{}, true},
		"others may add finalizers":      {m{"finalizers": l{"x"}}, m{"finalizers": l{"y", "x"}}, true},
		"a finalizer that went":          {m{"finalizers": l{"x", "z"}}, m{"finalizers": l{"x"}}, false},
		"nobody adds to other strings":   {m{"sourceRepos": l{"x"}}, m{"sourceRepos": l{"x", "*"}}, false},
		"a list of objects is one value": {m{"f": l{m{"a": 1}}}, m{"f": l{m{"a": 1}, m{"a": 2}}}, false},
		"the same list of objects":       {m{"f": l{m{"a": 1}}}, m{"f": l{m{"a": 1}}}, true},
		"an empty list":                  {m{"f": l{}}, m{"f": l{}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := within(c.want, c.have); got != c.is {
				t.Errorf("got %v", got)
			}
		})
	}
}
