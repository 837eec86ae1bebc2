// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/skerry-platform/skerry/internal/testenv"
)

// node is one container of a catalog chart, played by a process group on this machine: the
// chart's own scripts with the programs of the distribution.
type node struct {
	t    *testing.T
	env  map[string]string
	opt  string // the rendered ConfigMap
	cred string // the rendered Secret
	port int
	user *syscall.Credential // nil: as who runs the test

	mu  sync.Mutex
	log bytes.Buffer
	cmd *exec.Cmd
	end chan struct{}
}

// newNode writes the scripts and credentials of a rendered chart into folders. When the test
// runs as root, processes run as account, because neither server runs as root.
func newNode(t *testing.T, account string) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "skerry-node-")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, opt: filepath.Join(dir, "opt"), cred: filepath.Join(dir, "credentials"), port: freePort(t), env: map[string]string{}}
	// Another account must get through to the folders.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"opt", "credentials", "data", "run", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n.env["PATH"] = os.Getenv("PATH")
	n.env["OPT"], n.env["CREDENTIALS"] = n.opt, n.cred
	n.env["TMPDIR"] = filepath.Join(dir, "tmp")
	n.env["PORT"] = strconv.Itoa(n.port)
	if os.Geteuid() == 0 {
		n.become(account, filepath.Join(dir, "data"), filepath.Join(dir, "run"), filepath.Join(dir, "tmp"))
	}
	t.Cleanup(func() {
		n.kill()
		_ = os.RemoveAll(dir)
		if t.Failed() {
			n.mu.Lock()
			defer n.mu.Unlock()
			t.Logf("what the scripts and servers said:\n%s", n.log.String())
		}
	})
	return n
}

// become makes processes run as an account, which gets the folders.
func (n *node) become(account string, folders ...string) {
	n.t.Helper()
	u, err := user.Lookup(account)
	if err != nil {
		n.t.Skipf("this machine has no user %s; install the distribution's package to run this test as root", account)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		n.t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		n.t.Fatal(err)
	}
	n.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, folder := range folders {
		if err := os.Chown(folder, uid, gid); err != nil {
			n.t.Fatal(err)
		}
	}
}

// dir is a folder of the node: data, run, tmp.
func (n *node) dir(name string) string { return filepath.Join(filepath.Dir(n.opt), name) }

// write puts the content of a ConfigMap or Secret into a folder.
func (n *node) write(folder string, files map[string]string) {
	n.t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			n.t.Fatal(err)
		}
	}
}

// files of a rendered ConfigMap.
func (r rendered) files(t *testing.T, name string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, value := range r.get(t, "ConfigMap/"+name, "data").(map[string]any) {
		out[key] = fmt.Sprint(value)
	}
	return out
}

// command of a script with the node's environment.
func (n *node) command(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(n.opt, script))
	for name, value := range n.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Dir = n.dir("tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: n.user}
	return cmd
}

// Write collects output; it is an io.Writer for several processes.
func (n *node) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

// start runs start.sh, as the kubelet would start the container.
func (n *node) start() {
	n.t.Helper()
	n.cmd = n.command(context.Background(), "start.sh")
	if n.user != nil {
		// As in a container: the script is process 1, and with it all others end.
		n.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	n.cmd.Stdout, n.cmd.Stderr = n, n
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	end := make(chan struct{})
	n.end = end
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		close(end)
	}(n.cmd)
}

// kill ends every process of the node at once, as the loss of a machine would. (Without root
// pg_ctl's server, which leaves the group, stays for a moment.)
func (n *node) kill() { n.signal(syscall.SIGKILL) }

func (n *node) signal(s syscall.Signal) {
	if n.cmd == nil || n.cmd.Process == nil {
		return
	}
	_ = syscall.Kill(-n.cmd.Process.Pid, s)
	<-n.end
}

// untilReady waits until the probe's script succeeds.
func (n *node) untilReady() {
	n.t.Helper()
	testenv.Eventually(n.t, func(ctx context.Context) error {
		select {
		case <-n.end:
			n.t.Fatal("the server ended")
		default:
		}
		out, err := n.command(ctx, "ready.sh").CombinedOutput()
		if err != nil {
			return fmt.Errorf("not ready: %w: %s", err, out)
		}
		return nil
	})
}

// saysNot fails when the node's output contains a text.
func (n *node) saysNot(text string) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if strings.Contains(n.log.String(), text) {
		n.t.Errorf("the log contains %q", text)
	}
}

// freePort is below the ports that the kernel gives out by itself, so that no listener or connection of another
// test takes it before the server does.
func freePort(t *testing.T) int {
	t.Helper()
	var err error
	for range 100 {
		port := 20000 + rand.IntN(10000)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal(err)
	return 0
}

// needs skips a test when a program is not on this machine.
func needs(t *testing.T, install string, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if _, err := os.Stat(filepath.Join("/usr/lib/postgresql/15/bin", program)); err != nil {
			t.Skipf("%s is not on this machine; %s", program, install)
		}
	}
}

// soon bounds one attempt to talk to a server.
const soon = testenv.Patience
