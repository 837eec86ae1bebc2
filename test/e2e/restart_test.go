// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/skerry-platform/skerry/test/platform"
)

// The platform is stopped and started again; the environment and its data are still there.
func TestThePlatformKeepsItsData(t *testing.T) {
	name := theEnvironment(t)
	if _, err := platform.Kubectl(t, name, "", "create", "configmap", "kept", "--from-literal=a=b"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"down"}, {"up"}} {
		if err := platform.Stream(append(args, "--name", platform.Host.Instance, "--state", platform.Host.State)...); err != nil {
			t.Fatalf("skerry %s: %v", args[0], err)
		}
	}
	platform.Eventually(t, 3*time.Minute, "the five points hold again", func() error {
		_, err := platform.Try(t, "verify", name)
		return err
	})
	// The claim's own conditions follow by themselves, soon after the last part is back.
	platform.Eventually(t, time.Minute, "the claim is Ready again", func() error {
		c, err := platform.Object(t, "platform.skerry.dev/v1alpha1", "ApplicationClaim", "default", name)
		if err != nil {
			return err
		}
		if status, message := platform.Condition(c, "Ready"); status != "True" {
			return fmt.Errorf("Ready is %s: %s", status, message)
		}
		return nil
	})
	if out, err := platform.Kubectl(t, name, "", "get", "configmap", "kept", "-o", "jsonpath={.data.a}"); err != nil || out != "b" {
		t.Errorf("ConfigMap kept says %q, error %v", out, err)
	}
	if _, err := platform.Kubectl(t, name, "", "delete", "configmap", "kept"); err != nil {
		t.Fatal(err)
	}
}
