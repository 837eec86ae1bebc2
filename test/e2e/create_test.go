// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"sync"
	"testing"

	"github.com/skerry-platform/skerry/test/platform"
)

// theEnvironment is the one that the stories share when they only look or change what
// heals: customer-service with PostgreSQL and Redis.
func theEnvironment(t *testing.T) string {
	t.Helper()
	const name = "customer-service"
	created.Do(func() { create(t, name) })
	if t.Failed() {
		t.FailNow()
	}
	return name
}

var created sync.Once

// create asks for an application with both services and waits for it.
func create(t *testing.T, name string) {
	t.Helper()
	t.Log("\n" + platform.Skerry(t, "create", name, "--language", "go", "--database", "postgres", "--cache", "redis", "--wait", "--timeout", "4m"))
}

// One request gives a working environment: the five points hold, twice over.
func TestOneRequestGivesAWorkingEnvironment(t *testing.T) {
	name := theEnvironment(t)
	t.Log("\n" + platform.Skerry(t, "verify", name))
	t.Log("\n" + platform.Skerry(t, "timing", name))
	t.Log("\n" + platform.Skerry(t, "trace", name))
	// Asking again for what is there changes nothing and succeeds.
	platform.Skerry(t, "create", name, "--language", "go", "--database", "postgres", "--cache", "redis", "--wait")
}

// Two environments with the same object names run side by side and do not see each other.
func TestTwoEnvironmentsSideBySide(t *testing.T) {
	first := theEnvironment(t)
	const second = "order-service"
	create(t, second)
	defer platform.Skerry(t, "delete", second, "--wait", "--timeout", "3m")
	for _, name := range []string{first, second} {
		platform.Skerry(t, "verify", name)
		if _, err := platform.Kubectl(t, name, "", "create", "configmap", "mine", "--from-literal=of="+name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{first, second} {
		out, err := platform.Kubectl(t, name, "", "get", "configmap", "mine", "-o", "jsonpath={.data.of}")
		if err != nil || out != name {
			t.Errorf("ConfigMap mine in %s says %q, error %v", name, out, err)
		}
	}
	out, err := platform.Kubectl(t, first, "", "get", "pods,services,releases.helm.crossplane.io", "-A", "-o", "name")
	if err != nil {
		t.Fatal(err)
	}
	for line := range lines(out) {
		if contains(line, second) {
			t.Errorf("%s shows an object of %s: %s", first, second, line)
		}
	}
	if _, err := platform.Kubectl(t, first, "", "delete", "configmap", "mine"); err != nil {
		t.Fatal(err)
	}
}
