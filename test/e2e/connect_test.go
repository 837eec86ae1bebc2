// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-platform/skerry/test/platform"
)

// Logs and exec reach Pods that run on the host, and what the host owns cannot be changed
// from inside, with the reason and the way out.
func TestPodsAreReachedFromInside(t *testing.T) {
	name := theEnvironment(t)
	database := name + "-db-postgresql-0"
	out, err := platform.Kubectl(t, name, "", "exec", database, "--", "id", "-u")
	if err != nil || strings.TrimSpace(out) != "999" {
		t.Errorf("exec in the database says %q, error %v; want user 999", out, err)
	}
	out, err = platform.Kubectl(t, name, "", "logs", database, "--tail=200")
	if err != nil || !contains(out, "ready to accept connections") {
		t.Errorf("the database's log: %q, error %v", out, err)
	}
	_, err = platform.Kubectl(t, name, "", "delete", "pod", database)
	if err == nil || !contains(err.Error(), "copy of an object on the host") || !contains(err.Error(), "Release") {
		t.Errorf("deleting a Pod that the host owns: %v; want a refusal that names the Release", err)
	}
}

// A port of a Pod in a virtual cluster is reached from a person's machine, through both API
// servers: the application's page comes by it.
func TestAPortIsForwarded(t *testing.T) {
	name := theEnvironment(t)
	line := platform.FirstLine(t, name, "port-forward", "deployment/"+name, ":8080", "--address", "127.0.0.1")
	// "Forwarding from 127.0.0.1:40123 -> 8080"
	words := strings.Fields(line)
	if len(words) != 5 || words[0] != "Forwarding" {
		t.Fatalf("port-forward says %q", line)
	}
	response, err := http.Get("http://" + words[2] + "/")
	if err != nil {
		t.Fatalf("through %q: %v", line, err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !contains(string(page), "Both answered") {
		t.Errorf("the forwarded port answers %s, error %v:\n%s", response.Status, err, page)
	}
}

// Without arguments, connect writes a personal context that works with any kubectl and
// leaves the rest of the file as it was.
func TestConnectWritesAPersonalContext(t *testing.T) {
	name := theEnvironment(t)
	before, err := os.ReadFile(platform.Host.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, before, 0o600); err != nil {
		t.Fatal(err)
	}
	platform.Skerry(t, "connect", name, "--kubeconfig", file)
	out := platform.Skerry(t, "kubectl", "--kubeconfig", file, "--context", "skerry-"+name, "auth", "whoami")
	if !contains(out, "skerry:admins") {
		t.Errorf("the written context is %q; want a member of skerry:admins", out)
	}
	out = platform.Skerry(t, "kubectl", "--kubeconfig", file, "--context", "skerry-"+name, "get", "deployment", name, "-o", "name")
	if !contains(out, name) {
		t.Errorf("the written context does not show the application: %q", out)
	}
	out = platform.Skerry(t, "kubectl", "--kubeconfig", file, "--context", "skerry-"+platform.Host.Instance, "get", "namespace", name, "-o", "name")
	if !contains(out, name) {
		t.Errorf("the host's context no longer works: %q", out)
	}
}
