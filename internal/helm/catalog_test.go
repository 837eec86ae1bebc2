// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"encoding/base64"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/skerry-platform/skerry/catalog"
)

// update rewrites the golden files: go test ./internal/helm -run TestCatalogGolden -update
var update = flag.Bool("update", false, "rewrite the golden files")

// rendered are the objects of a chart by "Kind/name".
type rendered map[string]*unstructured.Unstructured

// render renders a chart of the catalog as for a first install, without a cluster.
func render(t testing.TB, chart, release, values string) (rendered, error) {
	t.Helper()
	all, err := newCharts(catalog.Charts(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := all.fromCatalog(chartSource{Name: chart}, "")
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := pkg.Load()
	if err != nil {
		t.Fatal(err)
	}
	vals := map[string]any{}
	if err := yaml.Unmarshal([]byte(values), &vals); err != nil {
		t.Fatal(err)
	}
	a := action.NewInstall(action.NewConfiguration())
	a.ReleaseName, a.Namespace, a.DryRunStrategy = release, "shop--default", action.DryRunClient
	a.KubeVersion = &common.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}
	found, err := a.RunWithContext(t.Context(), loaded, vals)
	if err != nil {
		return nil, err
	}
	objects, err := parseManifest(found.(*releasev1.Release).Manifest, "shop--default")
	if err != nil {
		t.Fatal(err)
	}
	out := rendered{}
	for _, obj := range objects {
		out[obj.GetKind()+"/"+obj.GetName()] = obj
	}
	return out, nil
}

// get walks into an object; of a list it takes the first.
func (r rendered) get(t testing.TB, object string, path ...string) any {
	t.Helper()
	obj, ok := r[object]
	if !ok {
		t.Fatalf("%s is not rendered; there are %v", object, slices.Sorted(slices.Values(keys(r))))
	}
	var value any = obj.Object
	for _, key := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			value = v[0]
		}
	}
	return value
}

// secret decodes the data of a Secret.
func (r rendered) secret(t testing.TB, name string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, value := range r.get(t, "Secret/"+name, "data").(map[string]any) {
		data, err := base64.StdEncoding.DecodeString(fmt.Sprint(value))
		if err != nil {
			t.Fatalf("%s of %s: %v", key, name, err)
		}
		out[key] = string(data)
	}
	return out
}

// seedPostgreSQL and seedRedis are the values that the definitions in the wild write.
const (
	seedPostgreSQL = `
auth: {enablePostgresUser: true, postgresPassword: "p/g 1", username: app, password: "a:b@c/d?e#f%+ &", database: orders}
primary:
  persistence: {enabled: true, size: 10Gi, storageClass: standard}
  resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {cpu: 500m, memory: 512Mi}}
  readinessProbe: {enabled: true, initialDelaySeconds: 30, periodSeconds: 10}
  livenessProbe: {enabled: true, initialDelaySeconds: 60, periodSeconds: 30}
metrics: {enabled: false}
`
	seedRedis = `
architecture: replication
auth: {enabled: true, password: "s3cr&t"}
master: {persistence: {enabled: true, size: 2Gi}, resources: {requests: {cpu: 100m, memory: 128Mi}}}
replica: {replicaCount: 2, persistence: {enabled: true, size: 2Gi}, resources: {requests: {cpu: 100m, memory: 128Mi}}}
metrics: {enabled: false}
`
)

// The whole of what the seed's values render to, to be read by a person when it changes.
func TestCatalogGolden(t *testing.T) {
	for _, c := range []struct{ chart, release, values string }{
		{"postgresql", "test-db-postgresql", seedPostgreSQL},
		{"redis", "x-redis", seedRedis},
	} {
		objects, err := render(t, c.chart, c.release, c.values)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, name := range slices.Sorted(slices.Values(keys(objects))) {
			text, err := yaml.Marshal(objects[name].Object)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "---\n%s", text)
		}
		file := filepath.Join("testdata", c.chart+".golden.yaml")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s renders differently; if that is meant, run with -update (-want +got):\n%s", c.chart, diff)
		}
	}
}

func TestPostgreSQLBinding(t *testing.T) {
	objects, err := render(t, "postgresql", "test-db-postgresql", seedPostgreSQL)
	if err != nil {
		t.Fatal(err)
	}
	binding := objects.secret(t, "test-db-binding")
	uri, err := url.Parse(binding["uri"])
	if err != nil {
		t.Fatal(err)
	}
	password, _ := uri.User.Password()
	want := map[string]string{"type": "postgresql", "provider": "skerry", "host": "test-db-postgresql", "port": "5432",
		"username": "app", "password": "a:b@c/d?e#f%+ &", "database": "orders", "uri": binding["uri"]}
	if diff := cmp.Diff(want, binding); diff != "" {
		t.Errorf("binding (-want +got):\n%s", diff)
	}
	if uri.User.Username() != "app" || password != want["password"] || uri.Host != "test-db-postgresql:5432" || uri.Path != "/orders" {
		t.Errorf("the uri is read as user %q, password %q, host %q, path %q", uri.User.Username(), password, uri.Host, uri.Path)
	}
}

// The names that the contract promises, for releases of several names.
func TestCatalogNames(t *testing.T) {
	for _, c := range []struct {
		chart, release, values string
		names                  []string
	}{
		{"postgresql", "test-db-postgresql", "", []string{"Service/test-db-postgresql", "Service/test-db-postgresql-hl",
			"StatefulSet/test-db-postgresql", "Secret/test-db-postgresql", "Secret/test-db-binding"}},
		{"postgresql", "db", "", []string{"Service/db-postgresql", "Secret/db-binding"}},
		{"postgresql", "db", "fullnameOverride: main", []string{"Service/main", "StatefulSet/main", "Secret/main"}},
		{"redis", "x-redis", "", []string{"Service/x-redis-master", "Service/x-redis-headless", "StatefulSet/x-redis-master", "Secret/x-redis", "Secret/x-binding"}},
		{"redis", "x-redis", "architecture: replication", []string{"Service/x-redis-replicas", "StatefulSet/x-redis-replicas"}},
	} {
		objects, err := render(t, c.chart, c.release, c.values)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range c.names {
			objects.get(t, name)
		}
	}
}

// What is not given is generated, the same wherever it appears.
func TestGeneratedCredentials(t *testing.T) {
	objects, err := render(t, "postgresql", "db-postgresql", "auth: {username: app}")
	if err != nil {
		t.Fatal(err)
	}
	own, binding := objects.secret(t, "db-postgresql"), objects.secret(t, "db-binding")
	if len(own["password"]) < 20 || own["password"] == own["postgres-password"] || own["password"] != binding["password"] {
		t.Errorf("lengths %d and %d, binding agrees: %t", len(own["password"]), len(own["postgres-password"]), own["password"] == binding["password"])
	}
	objects, err = render(t, "redis", "cache-redis", "auth: {enabled: false}")
	if err != nil {
		t.Fatal(err)
	}
	if objects["Secret/cache-redis"] != nil {
		t.Error("a Secret without a password")
	}
	if binding := objects.secret(t, "cache-binding"); binding["uri"] != "redis://cache-redis-master:6379/0" {
		t.Errorf("uri %q", binding["uri"])
	}
}

// Memory and configuration are in the Pod template, so a change of them rolls the Pods.
func TestChangesRollThePods(t *testing.T) {
	template := func(values string) any {
		objects, err := render(t, "postgresql", "db-postgresql", values)
		if err != nil {
			t.Fatal(err)
		}
		return objects.get(t, "StatefulSet/db-postgresql", "spec", "template")
	}
	before := template("")
	for _, values := range []string{
		"primary: {resources: {limits: {memory: 1Gi}}}",
		"primary: {extendedConfiguration: max_connections = 50}",
		"image: {tag: \"15.4\"}",
	} {
		if cmp.Equal(before, template(values)) {
			t.Errorf("%s does not change the Pod template", values)
		}
	}
	if !cmp.Equal(before, template("auth: {database: \"\"}")) {
		t.Error("the same values change the Pod template")
	}
}

// Wrong values are refused with the path of the value, or with what to do.
func TestCatalogRefusals(t *testing.T) {
	for _, c := range []struct{ chart, values, says string }{
		{"postgresql", "architecture: replication", "architecture: this chart serves standalone only"},
		{"postgresql", "auth: {enablePostgresUser: false}", "auth.username: name the user"},
		{"postgresql", "auth: {existingSecret: none}", "auth.existingSecret: Secret none does not exist"},
		{"postgresql", "primary: {persistence: {size: big}}", "/primary/persistence/size"},
		{"postgresql", "primary: {persistance: {size: 1Gi}}", "persistance"},
		{"postgresql", "auth: {username: \"a'b\"}", "/auth/username"},
		{"redis", "architecture: cluster", "/architecture"},
		{"redis", "replica: {replicaCount: -1}", "/replica/replicaCount"},
	} {
		_, err := render(t, c.chart, "x-"+c.chart, c.values)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %s: got %v, want %q", c.chart, c.values, err, c.says)
		}
	}
}

// Every Pod of the catalog keeps to the restricted Pod security standard.
func TestCatalogPodsAreRestricted(t *testing.T) {
	for chart, values := range map[string]string{"postgresql": seedPostgreSQL, "redis": seedRedis} {
		objects, err := render(t, chart, "x-"+chart, values)
		if err != nil {
			t.Fatal(err)
		}
		for name, obj := range objects {
			if obj.GetKind() != "StatefulSet" {
				continue
			}
			pod := []string{"spec", "template", "spec"}
			for _, want := range []struct {
				path  []string
				value any
			}{
				{[]string{"securityContext", "runAsNonRoot"}, true},
				{[]string{"securityContext", "runAsUser"}, int64(999)},
				{[]string{"securityContext", "fsGroup"}, int64(999)},
				{[]string{"securityContext", "seccompProfile", "type"}, "RuntimeDefault"},
				{[]string{"automountServiceAccountToken"}, false},
				{[]string{"containers", "0", "securityContext", "readOnlyRootFilesystem"}, true},
				{[]string{"containers", "0", "securityContext", "allowPrivilegeEscalation"}, false},
				{[]string{"containers", "0", "securityContext", "capabilities", "drop", "0"}, "ALL"},
			} {
				if got := objects.get(t, name, append(slices.Clone(pod), want.path...)...); fmt.Sprint(got) != fmt.Sprint(want.value) {
					t.Errorf("%s: %s is %v, want %v", name, strings.Join(want.path, "."), got, want.value)
				}
			}
			text, err := yaml.Marshal(obj.Object)
			if err != nil {
				t.Fatal(err)
			}
			for _, password := range []string{"p/g 1", "a:b@c", "s3cr&t"} {
				if strings.Contains(string(text), password) {
					t.Errorf("%s contains a password", name)
				}
			}
		}
	}
}
