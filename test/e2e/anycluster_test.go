// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/skerry-platform/skerry/internal/image/registrytest"
	"github.com/skerry-platform/skerry/test/platform"
)

// A cluster that is not the local platform's gets the same images from a registry and the same
// chart by its kubeconfig, and an application runs on it, its PostgreSQL and Redis from that
// registry too. In the end the cluster is left without Skerry.
func TestTheSameChartOnAnyCluster(t *testing.T) {
	platform.Bare(t, "e2e-bare")
	// On the node's own loopback, where containerd speaks HTTP to a registry by itself.
	registry := registrytest.Start(t, registrytest.Options{Enter: platform.Node()}).Host + "/skerry"
	push := append(platform.Node(), platform.Program("skerry"), "images", "push", registry, "--services")
	if out, err := exec.CommandContext(t.Context(), push[0], push[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("skerry images push: %v\n%s", err, out)
	}
	clean := clusterScoped(t)
	t.Log("\n" + platform.Skerry(t, "install", "--registry", registry, "--service-registry", registry))

	const name = "order-service"
	create(t, name)
	t.Log("\n" + platform.Skerry(t, "verify", name))

	if out, err := platform.Try(t, "uninstall"); err == nil || !contains(err.Error(), "skerry delete") {
		t.Errorf("uninstalling below a running application: %v\n%s\nwant a refusal that names `skerry delete`", err, out)
	}
	platform.Skerry(t, "delete", name, "--wait", "--timeout", "3m")
	platform.Skerry(t, "uninstall")
	// The API server forgets a group some time after its kinds.
	platform.Eventually(t, time.Minute, "the cluster is as it was before Skerry", func() error {
		if diff := cmp.Diff(clean, clusterScoped(t)); diff != "" {
			return fmt.Errorf("(-before +after):\n%s", diff)
		}
		return nil
	})
}

// clusterScoped names what of an installation lies outside of namespaces.
func clusterScoped(t *testing.T) []string {
	t.Helper()
	const kinds = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,priorityclasses," +
		"validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,apiservices"
	return strings.Fields(platform.Skerry(t, "kubectl", "get", kinds, "-o", "name"))
}
