// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"
)

// The platform is stopped and started again; the environment and its data are still there.
func TestThePlatformKeepsItsData(t *testing.T) {
	name := theEnvironment(t)
	if _, err := kubectl(t, name, "", "create", "configmap", "kept", "--from-literal=a=b"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"down"}, {"up"}} {
		if err := stream(append(args, "--name", instance, "--state", host.state)...); err != nil {
			t.Fatalf("skerry %s: %v", args[0], err)
		}
	}
	eventually(t, 3*time.Minute, "the five points hold again", func() error {
		_, err := try(t, "verify", name)
		return err
	})
	if out, err := kubectl(t, name, "", "get", "configmap", "kept", "-o", "jsonpath={.data.a}"); err != nil || out != "b" {
		t.Errorf("ConfigMap kept says %q, error %v", out, err)
	}
	if _, err := kubectl(t, name, "", "delete", "configmap", "kept"); err != nil {
		t.Fatal(err)
	}
}
