// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/skerry-platform/skerry/internal/image"
	"github.com/skerry-platform/skerry/internal/local"
)

// The story of one machine: an instance comes up beside whatever runs there, serves,
// survives the death of each of its processes, keeps its data, and goes without a trace.
func TestPlatform(t *testing.T) {
	bin := programs(t)
	p := &platform{name: "platform-test", bin: bin, cache: t.TempDir()}
	p.clear(t)
	before := takeSnapshot(t)
	t.Cleanup(func() { p.try("down", "--purge") })
	p.run(t, "up", "--node-only")

	t.Run("the node, DNS and storage are ready", func(t *testing.T) {
		if s := p.status(t); s.Phase != local.PhaseReady {
			t.Errorf("phase is %s, want %s: %+v", s.Phase, local.PhaseReady, s)
		}
	})
	if before.Settings != nil {
		// Only where no other instance can suffer from it.
		t.Run("somebody's ip netns does not get in the way", func(t *testing.T) {
			command(t, "ip", "netns", "add", "platform-test-foreign")
			command(t, "ip", "netns", "delete", "platform-test-foreign")
		})
	}
	clients := p.clients(t)
	t.Run("a claim is bound and its folder is the Pod's to write to", func(t *testing.T) {
		createClaim(t, clients)
		createPod(t, clients, "keeper", "data")
		p.checkVolume(t)
	})
	t.Run("nothing is open to strangers", func(t *testing.T) { p.checkClosed(t) })
	t.Run("a second up finds everything done", func(t *testing.T) {
		pids := p.pids(t)
		p.run(t, "up", "--node-only")
		if diff := cmp.Diff(pids, p.pids(t)); diff != "" {
			t.Errorf("processes changed (-before +after):\n%s", diff)
		}
	})
	t.Run("a second instance has networks of its own", func(t *testing.T) {
		other := &platform{name: "platform-test-2", bin: bin, cache: p.cache}
		t.Cleanup(func() { other.try("down", "--purge") })
		other.run(t, "up", "--node-only")
		if s := other.status(t); s.Phase != local.PhaseReady || s.Server == p.status(t).Server {
			t.Errorf("the second instance is %s at %s, the first at %s", s.Phase, s.Server, p.status(t).Server)
		}
		other.run(t, "down", "--purge", "--keep-image-cache")
		if s := p.status(t); s.Phase != local.PhaseReady {
			t.Errorf("the first instance is %s after the second went, want Ready", s.Phase)
		}
	})
	t.Run("each killed process comes back and no container notices", func(t *testing.T) {
		for name := range p.pids(t) {
			t.Run(name, func(t *testing.T) { p.killAndRecover(t, clients, name) })
		}
		if n := restartsOf(t, clients, "keeper"); n != 0 {
			t.Errorf("the Pod's container was restarted %d times", n)
		}
	})
	t.Run("with supervisor and guard killed together, up adopts the rest", func(t *testing.T) {
		pids := p.pids(t)
		kill(t, pids["supervisor"], pids["guard"])
		p.run(t, "up", "--node-only")
		after := p.pids(t)
		for _, name := range []string{"supervisor", "guard"} {
			delete(pids, name)
			delete(after, name)
		}
		if diff := cmp.Diff(pids, after); diff != "" {
			t.Errorf("processes changed (-before +after):\n%s", diff)
		}
	})
	t.Run("data survives down and up", func(t *testing.T) {
		p.run(t, "down")
		if s := p.status(t); s.Phase != local.PhaseDown {
			t.Errorf("phase is %s, want %s", s.Phase, local.PhaseDown)
		}
		p.run(t, "up", "--node-only")
		eventually(t, "the Pod runs again", func() bool { return podReady(t, clients, "keeper") && restartsOf(t, clients, "keeper") == 1 })
		p.checkVolume(t)
	})
	t.Run("killed as a whole, it is taken down all the same", func(t *testing.T) {
		// The watchers first, or they would start the others again meanwhile.
		pids := p.pids(t)
		kill(t, pids["supervisor"], pids["guard"])
		for name, pid := range pids {
			if name != "supervisor" && name != "guard" {
				kill(t, pid)
			}
		}
		p.run(t, "down", "--purge", "--keep-image-cache")
	})
	after := takeSnapshot(t)
	if before.Settings == nil || after.Settings == nil {
		before.Settings, after.Settings = nil, nil // another instance came or went meanwhile
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the machine is not as before (-before +after):\n%s", diff)
	}
	for _, path := range []string{"/var/lib/skerry/" + p.name, "/run/skerry/" + p.name, "/run/netns/" + p.name} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left behind", path)
		}
	}
}

// programs is the folder of the built programs, or skips the test.
func programs(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the local platform takes minutes: not in short mode")
	}
	if os.Geteuid() != 0 {
		t.Skip("the local platform needs root: run this test with sudo")
	}
	bin := os.Getenv("SKERRY_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "bin")
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		t.Fatal(err)
	}
	if err := image.CheckPrograms(bin, image.SystemImages()); err != nil {
		t.Skipf("the programs are not built: %v", err)
	}
	return bin
}

// platform drives one instance through the command line.
type platform struct{ name, bin, cache string }

func (p *platform) command(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(p.bin, "skerry-kube"),
		append([]string{"local", "--name", p.name, "--image-cache", p.cache}, args...)...)
}

// clear removes what an earlier run has left that was killed.
func (p *platform) clear(t *testing.T) {
	t.Helper()
	for _, name := range []string{p.name, p.name + "-2"} {
		(&platform{name: name, bin: p.bin, cache: p.cache}).run(t, "down", "--purge", "--keep-image-cache")
	}
	if _, err := os.Lstat("/run/netns/platform-test-foreign"); err == nil {
		command(t, "ip", "netns", "delete", "platform-test-foreign")
	}
}

// try is for clean-up: what it could not do is seen by the comparison of the machine.
func (p *platform) try(args ...string) { p.command(args...).Run() }

func (p *platform) run(t *testing.T, args ...string) {
	t.Helper()
	out, err := p.command(args...).CombinedOutput()
	t.Logf("%s\n%s", strings.Join(args, " "), out)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, p.logs())
	}
}

// logs are the last lines of every process, for a failed test.
func (p *platform) logs() string {
	files, _ := filepath.Glob(filepath.Join("/var/lib/skerry", p.name, "logs", "*.log"))
	var all strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		all.WriteString("== " + f + "\n")
		all.Write(bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
		all.WriteString("\n")
	}
	return all.String()
}

func (p *platform) status(t *testing.T) local.Status {
	t.Helper()
	out, err := p.command("status", "-o", "json").Output()
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	var s local.Status
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("status: %v\n%s", err, out)
	}
	return s
}

func (p *platform) pids(t *testing.T) map[string]int {
	t.Helper()
	return pids(p.status(t))
}

func pids(s local.Status) map[string]int {
	pids := map[string]int{}
	for _, process := range s.Processes {
		pids[process.Name] = process.PID
	}
	return pids
}

func (p *platform) clients(t *testing.T) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", p.status(t).Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

// killAndRecover kills one process and waits until the instance is whole and writes.
func (p *platform) killAndRecover(t *testing.T, clients kubernetes.Interface, name string) {
	old := p.pids(t)
	kill(t, old[name])
	began := time.Now()
	eventually(t, name+" is back", func() bool {
		s := p.status(t)
		return s.Phase == local.PhaseReady && pids(s)[name] != old[name]
	})
	eventually(t, "the cluster takes a write", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := clients.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "after-" + name}}, metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err)
	})
	t.Logf("back after %s", time.Since(began).Round(10*time.Millisecond))
	for other, pid := range p.pids(t) {
		if other != name && old[other] != pid {
			t.Errorf("%s was started again too", other)
		}
	}
	createPod(t, clients, "after-"+name, "")
}

func kill(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if pid <= 1 {
			t.Fatalf("process %d is not ours to kill", pid)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("killing %d: %v", pid, err)
		}
	}
}
