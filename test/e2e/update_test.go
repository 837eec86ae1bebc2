// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/skerry-platform/skerry/test/platform"
)

func lines(s string) iter.Seq[string] { return strings.SplitSeq(strings.TrimSpace(s), "\n") }

func contains(s, part string) bool { return strings.Contains(s, part) }

// git runs real Git with the CLI as its credential helper.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	helper := "!KUBECONFIG=" + platform.Host.Kubeconfig + " " + platform.Program("skerry") + " git-credential"
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "credential.helper=", "-c", "credential.helper=" + helper,
		"-c", "user.name=A developer", "-c", "user.email=developer@example.com"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// push changes the application's file in its GitOps repository and pushes.
func push(t *testing.T, name string, edit func(string) string) time.Time {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "clone", "-q", strings.TrimSpace(platform.Skerry(t, "repo", "clone-url", name, "--gitops")), "gitops")
	work := filepath.Join(dir, "gitops")
	file := filepath.Join(work, "oam", "applications", "application.yaml")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	after := edit(string(before))
	if after == string(before) {
		t.Fatalf("the edit changed nothing in:\n%s", before)
	}
	if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, work, "commit", "-qam", "Change the application")
	git(t, work, "push", "-q")
	return time.Now()
}

func replaceFirst(pattern, with string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(s string) string {
		at := re.FindStringIndex(s)
		if at == nil {
			return s
		}
		return s[:at[0]] + with + s[at[1]:]
	}
}

// A push to the GitOps repository is enough to change what runs, in the virtual cluster and
// on the host.
func TestAPushChangesWhatRuns(t *testing.T) {
	name := theEnvironment(t)
	pushed := push(t, name, func(s string) string {
		s = replaceFirst(`replicas: \d+`, "replicas: 2")(s)
		return replaceFirst(`memoryLimit: \S+`, "memoryLimit: 320Mi")(s)
	})
	platform.Eventually(t, time.Minute, "the host's StatefulSet has the new limit", func() error {
		s, err := platform.Object(t, "apps/v1", "StatefulSet", name+"--default", name+"-db-postgresql")
		if err != nil {
			return err
		}
		if !contains(fmt.Sprint(s.Object["spec"]), "320Mi") {
			return fmt.Errorf("no 320Mi in its spec")
		}
		return nil
	})
	t.Logf("push -> host: %.1f s", time.Since(pushed).Seconds())
	if out, err := platform.Kubectl(t, name, "", "wait", "deployment/"+name, "--for=jsonpath={.status.readyReplicas}=2", "--timeout=120s"); err != nil {
		t.Fatal(out, err)
	}
	t.Logf("push -> two ready Pods: %.1f s", time.Since(pushed).Seconds())
	platform.Eventually(t, 2*time.Minute, "the five points hold after the update", func() error {
		_, err := platform.Try(t, "verify", name)
		return err
	})
}

// A parameter that does not fit stops the update with a message that says where; what
// runs is left alone, and the next push heals it.
func TestABadParameterIsNamedAndHeals(t *testing.T) {
	name := theEnvironment(t)
	push(t, name, replaceFirst(`replicas: (\d+)`, `replicas: "many"`))
	platform.Eventually(t, time.Minute, "the claim says what is wrong", func() error {
		c, err := platform.Object(t, "platform.skerry.dev/v1alpha1", "ApplicationClaim", "default", name)
		if err != nil {
			return err
		}
		_, message := platform.Condition(c, "Ready")
		for _, want := range []string{"replicas", "many"} {
			if !contains(message, want) {
				return fmt.Errorf("message without %q: %q", want, message)
			}
		}
		return nil
	})
	platform.Skerry(t, "verify", name, "--points", "1,2,3")
	push(t, name, replaceFirst(`replicas: "many"`, "replicas: 1"))
	platform.Eventually(t, time.Minute, "the application is healthy again", func() error {
		_, err := platform.Try(t, "verify", name)
		return err
	})
}
