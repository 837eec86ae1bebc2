// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skerry-platform/skerry/test/platform"
)

// process is one line of `skerry status -o json`.
type process struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

func processes(t *testing.T) []process {
	t.Helper()
	var status struct {
		Processes []process `json:"processes"`
	}
	out := platform.Skerry(t, "status", "--name", platform.Host.Instance, "--state", platform.Host.State, "-o", "json")
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		t.Fatalf("skerry status -o json: %v\n%s", err, out)
	}
	return status.Processes
}

// Every process of the platform is killed in turn; each comes back by itself, and the
// environment then still answers and still takes changes.
func TestEveryProcessMayBeKilled(t *testing.T) {
	name := theEnvironment(t)
	recovers := func(t *testing.T) {
		t.Helper()
		took := platform.Eventually(t, 3*time.Minute, "the five points hold again", func() error {
			_, err := platform.Try(t, "verify", name)
			return err
		})
		value := strconv.FormatInt(time.Now().UnixNano(), 36)
		platform.Eventually(t, time.Minute, "the virtual cluster takes writes", func() error {
			_, err := platform.Kubectl(t, name, "", "annotate", "--overwrite", "namespace", "default", "example.com/after-kill="+value)
			return err
		})
		t.Logf("answers again after %.1f s", took.Seconds())
	}
	for _, p := range processes(t) {
		t.Run(p.Name, func(t *testing.T) {
			pid := 0
			platform.Eventually(t, time.Minute, "it runs", func() error {
				for _, now := range processes(t) {
					if now.Name == p.Name {
						pid = now.PID
					}
				}
				if pid == 0 { // which would mean this process and all that belong to it
					return fmt.Errorf("%s has no process", p.Name)
				}
				return nil
			})
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatalf("killing %s (pid %d): %v", p.Name, pid, err)
			}
			platform.Eventually(t, time.Minute, "it is started again", func() error {
				for _, now := range processes(t) {
					if now.Name == p.Name && now.PID != 0 && now.PID != pid {
						return nil
					}
				}
				return fmt.Errorf("%s has no new process", p.Name)
			})
			recovers(t)
		})
	}
	for _, words := range [][]string{
		{"skerry-operator", "run"}, {"skerry-kube", "pool"}, {"skerry-kube", "etcd"}, {"skerry-operator", "git-server"}, {"skerry-kube", "dns"},
	} {
		t.Run(strings.Join(words, " "), func(t *testing.T) {
			pid, err := platform.PodProcess(words...)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			platform.Eventually(t, 2*time.Minute, "its container is started again", func() error {
				now, err := platform.PodProcess(words...)
				if err == nil && now == pid {
					err = fmt.Errorf("process %d is still there", pid)
				}
				return err
			})
			recovers(t)
		})
	}
}
