// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skerry-platform/skerry/test/platform"
)

const definition = `apiVersion: core.oam.dev/v1beta1
kind: ComponentDefinition
metadata: {name: greeting, namespace: default}
spec:
  workload: {definition: {apiVersion: v1, kind: ConfigMap}}
  schematic:
    cue:
      template: |
        output: {
          apiVersion: "v1"
          kind: "ConfigMap"
          data: text: %s
        }
        parameter: text: string
`

const greeting = `apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: greeting, namespace: default}
spec:
  components:
  - {name: greeting, type: greeting, properties: {text: hello}}
`

// A definition with a mistake is reported with its place, nothing is lost, and correcting
// the definition heals the Application by itself.
func TestABadDefinitionIsNamedAndHeals(t *testing.T) {
	name := theEnvironment(t)
	apply := func(yaml string) {
		t.Helper()
		if _, err := platform.Kubectl(t, name, yaml, "apply", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
	text := func(want string) func() error {
		return func() error {
			out, err := platform.Kubectl(t, name, "", "get", "configmap", "greeting", "-o", "jsonpath={.data.text}")
			if err != nil || out != want {
				return fmt.Errorf("ConfigMap says %q, want %q: %v", out, want, err)
			}
			return nil
		}
	}
	apply(fmt.Sprintf(definition, "parameter.text"))
	apply(greeting)
	platform.Eventually(t, time.Minute, "the good definition renders", text("hello"))

	apply(fmt.Sprintf(definition, "parameter.txet"))
	platform.Eventually(t, time.Minute, "the mistake is named", func() error {
		out, err := platform.Kubectl(t, name, "", "get", "application.core.oam.dev", "greeting", "-o", "jsonpath={.status}")
		if err != nil {
			return err
		}
		if !strings.Contains(out, "txet") || !strings.Contains(out, "greeting") {
			return fmt.Errorf("status does not name definition greeting and field txet: %s", out)
		}
		return nil
	})
	if err := text("hello")(); err != nil {
		t.Errorf("what ran was lost: %v", err)
	}

	apply(fmt.Sprintf(definition, `"\(parameter.text) again"`))
	platform.Eventually(t, time.Minute, "the corrected definition heals it", text("hello again"))
	if _, err := platform.Kubectl(t, name, "", "delete", "application.core.oam.dev/greeting", "componentdefinition/greeting", "--wait"); err != nil {
		t.Fatal(err)
	}
	platform.Eventually(t, time.Minute, "deletion removes what it made", func() error {
		if out, err := platform.Kubectl(t, name, "", "get", "configmap", "greeting"); err == nil {
			return fmt.Errorf("still there: %s", out)
		}
		return nil
	})
}

const release = `apiVersion: helm.crossplane.io/v1beta1
kind: Release
metadata: {name: side-redis}
spec:
  forProvider:
    namespace: default
    chart: {repository: https://charts.bitnami.com/bitnami, name: redis, version: %s}
    values: {architecture: standalone, master: {persistence: {enabled: false}}}
`

// A chart version that does not exist gives a clear condition on the virtual Release; what
// runs goes on running, and the right version heals it.
func TestABadChartVersionIsNamedAndHeals(t *testing.T) {
	name := theEnvironment(t)
	apply := func(version string) {
		t.Helper()
		if _, err := platform.Kubectl(t, name, fmt.Sprintf(release, version), "apply", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
	ready := func() {
		t.Helper()
		if _, err := platform.Kubectl(t, name, "", "wait", "release.helm.crossplane.io/side-redis", "--for=condition=Ready", "--timeout=150s"); err != nil {
			t.Fatal(err)
		}
	}
	apply("18.19.4")
	ready()
	before, err := platform.Object(t, "apps/v1", "StatefulSet", name+"--default", "side-redis-master")
	if err != nil {
		t.Fatal(err)
	}

	apply("99.9.9")
	platform.Eventually(t, time.Minute, "the version is named", func() error {
		out, err := platform.Kubectl(t, name, "", "get", "release.helm.crossplane.io", "side-redis", "-o", `jsonpath={.status.conditions[?(@.type=="Synced")]}`)
		if err != nil {
			return err
		}
		if !strings.Contains(out, "99.9.9") || !strings.Contains(out, "18.19.4") || !strings.Contains(out, `"False"`) {
			return fmt.Errorf("Synced does not name the version and those there are: %s", out)
		}
		return nil
	})
	after, err := platform.Object(t, "apps/v1", "StatefulSet", name+"--default", "side-redis-master")
	if err != nil || after.GetUID() != before.GetUID() || after.GetGeneration() != before.GetGeneration() {
		t.Errorf("the running StatefulSet was touched: %v", err)
	}

	apply("18.19.4")
	platform.Eventually(t, time.Minute, "the right version heals it", func() error {
		out, err := platform.Kubectl(t, name, "", "get", "release.helm.crossplane.io", "side-redis", "-o", `jsonpath={.status.conditions[?(@.type=="Synced")].status}`)
		if err != nil || out != "True" {
			return fmt.Errorf("Synced is %q: %v", out, err)
		}
		return nil
	})
	ready()
	if _, err := platform.Kubectl(t, name, "", "delete", "release.helm.crossplane.io/side-redis", "--wait", "--timeout=150s"); err != nil {
		t.Fatal(err)
	}
	if _, err := platform.Object(t, "apps/v1", "StatefulSet", name+"--default", "side-redis-master"); err == nil {
		t.Error("the virtual Release is gone, but its StatefulSet is still on the host")
	}
}
