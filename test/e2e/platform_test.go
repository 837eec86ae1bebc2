// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tells the whole story on a real local platform: containerd, kubelet,
// PostgreSQL, Redis, Git. TestMain starts an instance of its own beside whatever runs on the
// machine and removes it afterwards. SKERRY_E2E_KEEP=1 leaves it for a look.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// instance is the local platform's name, and with it the addresses, that the tests use.
const instance = "e2e"

// host is the platform under test.
var host struct {
	state, kubeconfig string
	config            *rest.Config
	client            client.Client
}

func TestMain(m *testing.M) {
	code, err := withPlatform(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "end-to-end tests:", err)
		code = 1
	}
	os.Exit(code)
}

// withPlatform runs the tests between up and down.
func withPlatform(run func() int) (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("the local platform needs root: run them with sudo")
	}
	host.state, err = os.MkdirTemp("", "skerry-e2e-")
	if err != nil {
		return 1, err
	}
	host.kubeconfig = filepath.Join(host.state, "kubeconfig")
	if err := stream("up", "--name", instance, "--state", host.state); err != nil {
		return 1, fmt.Errorf("skerry up: %w", err)
	}
	defer func() {
		if os.Getenv("SKERRY_E2E_KEEP") != "" {
			fmt.Printf("kept: KUBECONFIG=%s; remove with: skerry down --name %s --state %s --purge\n", host.kubeconfig, instance, host.state)
			return
		}
		if e := stream("down", "--name", instance, "--state", host.state, "--purge"); e != nil && err == nil {
			code, err = 1, fmt.Errorf("skerry down: %w", e)
		}
	}()
	host.config, err = clientcmd.BuildConfigFromFlags("", host.kubeconfig)
	if err != nil {
		return 1, err
	}
	host.config.QPS, host.config.Burst = 200, 400
	host.client, err = client.New(host.config, client.Options{})
	if err != nil {
		return 1, err
	}
	return run(), nil
}

// program is the path of a built program.
func program(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "bin", name)
}

// command prepares the CLI as a person would call it.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program("skerry"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+host.kubeconfig)
	return cmd
}

// stream runs the CLI with its output shown.
func stream(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := command(ctx, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// try runs the CLI and returns what it printed.
func try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("skerry %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), err
}

// skerry runs the CLI and fails the test when it fails.
func skerry(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kubectl runs the linked kubectl in a virtual cluster, with stdin when given.
func kubectl(t *testing.T, name, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := command(ctx, append([]string{"connect", name, "--"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s in %s: %w\n%s", strings.Join(args, " "), name, err, out)
	}
	return string(out), err
}

// eventually tries until the check is content; the last refusal is the failure's text.
func eventually(t *testing.T, limit time.Duration, what string, check func() error) time.Duration {
	t.Helper()
	begun := time.Now()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return time.Since(begun)
		}
		if time.Since(begun) > limit {
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		<-ticker.C
	}
}

// object reads one object of the host.
func object(t *testing.T, apiVersion, kind, namespace, name string) (*unstructured.Unstructured, error) {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind))
	err := host.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o)
	return o, err
}

// condition returns the status and message of a condition of an object.
func condition(o *unstructured.Unstructured, typ string) (status, message string) {
	conds, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conds {
		if m, ok := c.(map[string]any); ok && m["type"] == typ {
			status, _ = m["status"].(string)
			message, _ = m["message"].(string)
			return status, message
		}
	}
	return "", ""
}
