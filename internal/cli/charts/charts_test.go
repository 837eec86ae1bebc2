// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/skerry-platform/skerry/internal/cli"
	"github.com/skerry-platform/skerry/internal/cli/charts"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// The platform is installed twice and removed: what was given the first time stays, what is given the second
// time wins, a dry run says so beforehand, and what is generated is made once and never shown.
func TestInstallKeepsItsValues(t *testing.T) {
	t.Setenv("HOME", t.TempDir()) // where kubectl keeps what it knows of a server's address
	env := testenv.StartOwn(t)
	skerry := func(args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		p := cli.Program{
			IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errs},
			Getenv:    os.Getenv, Charts: charts.Helm{},
		}
		if code := p.Main(t.Context(), append([]string{"skerry", "--kubeconfig", env.Kubeconfig}, args...)); code != 0 {
			t.Fatalf("skerry %s ended with %d: %s", strings.Join(args, " "), code, errs.String())
		}
		return out.String()
	}
	get := func(args ...string) string {
		t.Helper()
		return skerry(append([]string{"kubectl", "-n", "skerry-system", "get"}, args...)...)
	}
	says := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("there is no %q in:\n%s", want, text)
			}
		}
	}

	// Before there is anything, and without asking the cluster.
	text := skerry("install", "--dry-run", "--set", "pool.replicas=2")
	says(text, "kind: StatefulSet", "replicas: 2", "The Secret output has been suppressed")
	if strings.Contains(text, "kind: CustomResourceDefinition") {
		t.Error("definitions of kinds that nobody asked for")
	}
	says(skerry("install", "--dry-run", "--include-crds"), "kind: CustomResourceDefinition", "name: applicationclaims.platform.skerry.dev")

	skerry("install", "--wait=false", "--set", "pool.replicas=2", "--set", "local=true", "--set", "domain=apps.example.com")
	password := get("secret", "skerry-git", "-o", "jsonpath={.data.password}")
	address := get("service", "skerry-git", "-o", "jsonpath={.spec.clusterIP}")
	text = skerry("install", "--dry-run=server", "--set", "domain=apps.example.org")
	says(text, "replicas: 2", "apps.example.org", address)
	if password == "" || strings.Contains(text, password) {
		t.Error("a dry run shows what is in a Secret")
	}

	skerry("install", "--wait=false", "--set", "domain=apps.example.org")
	says(get("statefulset", "skerry-pool", "-o", "jsonpath={.spec.replicas}"), "2")
	says(get("service", "skerry-git", "-o", "jsonpath={.spec.clusterIP}"), address)
	says(get("deployment", "skerry-operator", "-o", "yaml"), "apps.example.org")
	if got := get("secret", "skerry-git", "-o", "jsonpath={.data.password}"); got != password {
		t.Error("the Git server's password is another")
	}

	skerry("install", "--wait=false", "--reset-values", "--set", "domain=apps.example.org")
	says(get("statefulset", "skerry-pool", "-o", "jsonpath={.spec.replicas}"), "1")
	skerry("uninstall")
}
