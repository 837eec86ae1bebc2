// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package platform gives tests and benchmarks a real local platform: containerd, kubelet,
// PostgreSQL, Redis, Git. Main starts an instance of its own beside whatever runs on the
// machine and removes it afterwards. SKERRY_KEEP=1 leaves it for a look, until the next run.
package platform

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Host is the platform under test, set by Main for the whole test binary.
var Host struct {
	// Instance is the local platform's name, and with it the addresses that it uses.
	Instance string
	// State is its folder, Kubeconfig the administrator's.
	State, Kubeconfig string
	Config            *rest.Config
	Client            client.Client
}

// Main is the body of a TestMain: it runs the tests between up and down and returns the
// exit code.
func Main(m *testing.M, instance string) int {
	ctrl.SetLogger(logr.Discard()) // failures are reported by the tests
	Host.Instance = instance
	code, err := withPlatform(m.Run)
	if err != nil {
		fmt.Fprintf(os.Stderr, "local platform %s: %v\n", instance, err)
		return 1
	}
	return code
}

func withPlatform(run func() int) (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("the local platform needs root: run them with sudo")
	}
	Host.State = stateOf(Host.Instance)
	Host.Kubeconfig = filepath.Join(Host.State, "kubeconfig")
	if err := clear(Host.Instance); err != nil {
		return 1, err
	}
	if err := Stream("up", "--name", Host.Instance, "--state", Host.State); err != nil {
		return 1, fmt.Errorf("skerry up: %w", err)
	}
	defer func() {
		if os.Getenv("SKERRY_KEEP") != "" {
			fmt.Printf("kept: KUBECONFIG=%s; remove with: skerry down --name %s --state %s --purge\n", Host.Kubeconfig, Host.Instance, Host.State)
			return
		}
		defer os.Remove(stateRoot)
		if e := Stream("down", "--name", Host.Instance, "--state", Host.State, "--purge"); e != nil && err == nil {
			code, err = 1, fmt.Errorf("skerry down: %w", e)
		}
	}()
	if err := meet(Host.Instance, Host.State); err != nil {
		return 1, err
	}
	return run(), nil
}

// Bare starts a Kubernetes without Skerry, as a cluster that somebody gives a kubeconfig of, and
// makes it the Host for the rest of the test.
func Bare(t testing.TB, instance string) {
	t.Helper()
	if err := clear(instance); err != nil {
		t.Fatal(err)
	}
	before := Host
	t.Cleanup(func() {
		Host = before
		defer os.Remove(stateRoot)
		if err := local(instance, "down", "--purge"); err != nil {
			t.Errorf("taking the bare cluster down: %v", err)
		}
	})
	if err := local(instance, "up", "--node-only"); err != nil {
		t.Fatalf("starting the bare cluster: %v", err)
	}
	if err := meet(instance, stateOf(instance)); err != nil {
		t.Fatal(err)
	}
}

// stateRoot is not the CLI's own, by which it knows a local platform: Bare is to be none.
const stateRoot = "/var/lib/skerry-test"

// stateOf is the state folder of an instance: always the same, so that the next run, and
// `make down`, find what one that was killed has left.
func stateOf(instance string) string { return filepath.Join(stateRoot, instance) }

// clear removes what a run that was killed, or that was to be kept, has left.
func clear(instance string) error {
	defer os.Remove(stateRoot) // unless there is another one's folder in it
	if err := local(instance, "down", "--purge", "--keep-image-cache"); err != nil {
		return fmt.Errorf("removing what an earlier run has left: %w", err)
	}
	return nil
}

// local runs a command of an instance, with its output shown.
func local(instance string, args ...string) error {
	args = append(append([]string{"local"}, args...), "--name", instance, "--state", stateOf(instance))
	cmd := exec.Command(Program("skerry-kube"), args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// meet makes an instance that is up the Host.
func meet(instance, state string) (err error) {
	Host.Instance, Host.State, Host.Kubeconfig = instance, state, filepath.Join(state, "kubeconfig")
	if Host.Config, err = clientcmd.BuildConfigFromFlags("", Host.Kubeconfig); err != nil {
		return err
	}
	Host.Config.QPS, Host.Config.Burst = 200, 400
	Host.Client, err = client.New(Host.Config, client.Options{})
	return err
}

// Node are the words of the command that runs another one in the Host's node's network.
func Node() []string { return []string{"nsenter", "--net=/run/netns/" + Host.Instance} }

// Program is the path of a built program.
func Program(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "bin", name)
}

// command prepares the CLI as a person would call it.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, Program("skerry"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+Host.Kubeconfig)
	return cmd
}

// Stream runs the CLI with its output shown.
func Stream(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := command(ctx, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// Try runs the CLI and returns what it printed.
func Try(t testing.TB, args ...string) (string, error) {
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

// Skerry runs the CLI and fails the test when it fails.
func Skerry(t testing.TB, args ...string) string {
	t.Helper()
	out, err := Try(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Kubectl runs the linked kubectl in a virtual cluster, with stdin when given.
func Kubectl(t testing.TB, name, stdin string, args ...string) (string, error) {
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

// FirstLine starts kubectl in a virtual cluster, keeps it running for the rest of the test,
// and returns the first line that it prints: what port-forward and the watches tell when
// they serve.
func FirstLine(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := command(ctx, append([]string{"connect", name, "--"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed := bufio.NewReader(out)
	t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, printed)
		_ = cmd.Wait()
	})
	line, err := printed.ReadString('\n')
	if err != nil {
		cancel()
		_ = cmd.Wait()
		t.Fatalf("kubectl %s in %s printed no line: %v\n%s", strings.Join(args, " "), name, err, errs.String())
	}
	return line
}

// Eventually tries until the check is content; the last refusal is the failure's text.
func Eventually(t testing.TB, limit time.Duration, what string, check func() error) time.Duration {
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

// Object reads one object of the host.
func Object(t testing.TB, apiVersion, kind, namespace, name string) (*unstructured.Unstructured, error) {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind))
	err := Host.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o)
	return o, err
}

// Condition returns the status and message of a condition of an object.
func Condition(o *unstructured.Unstructured, typ string) (status, message string) {
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
