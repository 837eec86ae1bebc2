// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
)

// The test binary plays every process: the variable says which.
const roleVariable = "SUPERVISE_TEST_ROLE"

func TestMain(m *testing.M) {
	role, runDir := os.Getenv(roleVariable), os.Getenv("SUPERVISE_TEST_DIR")
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role, runDir); err != nil && !errors.Is(err, ErrLocked) {
		fmt.Fprintln(os.Stderr, role, err)
		os.Exit(1)
	}
}

func play(role, runDir string) error {
	if err := AwaitStart(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := logr.Discard()
	switch role {
	case Supervisor:
		return Run(ctx, runDir, spec(runDir, Guard), components(runDir), log)
	case Guard:
		return RunGuard(ctx, runDir, spec(runDir, Supervisor), log)
	case "notifier":
		conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		if err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := conn.Write([]byte("STATUS=here\nREADY=1\n")); err != nil {
			return err
		}
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		if err != nil {
			return err
		}
		if _, err := conn.Write([]byte("READY=1")); err != nil {
			return err
		}
		select {}
	}
	<-ctx.Done()
	return nil
}

func spec(runDir, name string) Spec {
	return Spec{
		Name: name, Argv: []string{os.Args[0]}, Log: filepath.Join(runDir, "logs", name+".log"),
		Env:           []string{roleVariable + "=" + name, "SUPERVISE_TEST_DIR=" + runDir},
		SelfRecording: name == Supervisor || name == Guard,
	}
}

// components are one that tells when it is ready, and one that comes after it.
func components(runDir string) []Spec {
	first, second := spec(runDir, "notifier"), spec(runDir, "second")
	first.Notifies = true
	second.After = []string{"notifier"}
	return []Spec{second, first}
}

var everyone = []string{Supervisor, Guard, "notifier", "second"}

// up starts supervision in a folder of its own and ends all of it after the test.
func up(t *testing.T) (runDir string) {
	t.Helper()
	runDir = t.TempDir()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := StopSupervision(ctx, runDir); err != nil {
			t.Error(err)
		}
		for _, name := range everyone {
			r, err := Load(runDir, name)
			if err != nil {
				t.Error(err)
			}
			if err := r.Stop(ctx, time.Second); err != nil {
				t.Error(err)
			}
		}
	})
	if err := Start(t.Context(), runDir, spec(runDir, Supervisor)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all run", func() bool { return len(alive(t, runDir)) == len(everyone) })
	return runDir
}

// alive are the process IDs of those that run.
func alive(t *testing.T, runDir string) map[string]int {
	t.Helper()
	pids := map[string]int{}
	for _, name := range everyone {
		r, err := Load(runDir, name)
		if err != nil {
			t.Fatal(err)
		}
		if r.Alive() {
			pids[name] = r.PID
		}
	}
	return pids
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func TestKilledProcessComesBackAlone(t *testing.T) {
	runDir := up(t)
	for _, victim := range everyone {
		t.Run(victim, func(t *testing.T) {
			before := alive(t, runDir)
			if err := syscall.Kill(before[victim], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, victim+" is back", func() bool {
				now := alive(t, runDir)
				return len(now) == len(everyone) && now[victim] != before[victim]
			})
			after := alive(t, runDir)
			delete(before, victim)
			delete(after, victim)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("others were started again (-before +after):\n%s", diff)
			}
			r, err := Load(runDir, victim)
			if err != nil || r.Restarts != 1 {
				t.Errorf("record is %+v, %v; want one restart", r, err)
			}
		})
	}
}

func TestComponentsOutliveBothWatchers(t *testing.T) {
	runDir := up(t)
	before := alive(t, runDir)
	if err := StopSupervision(t.Context(), runDir); err != nil {
		t.Fatal(err)
	}
	left := alive(t, runDir)
	want := map[string]int{"notifier": before["notifier"], "second": before["second"]}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Fatalf("the components run unwatched (-want +got):\n%s", diff)
	}
	if err := Start(t.Context(), runDir, spec(runDir, Supervisor)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all run", func() bool { return len(alive(t, runDir)) == len(everyone) })
	after := alive(t, runDir)
	if after["notifier"] != before["notifier"] || after["second"] != before["second"] {
		t.Errorf("the new supervisor has not adopted them: before %v, after %v", before, after)
	}
}

func TestSecondSupervisorGivesWay(t *testing.T) {
	runDir := up(t)
	before := alive(t, runDir)
	err := Run(t.Context(), runDir, spec(runDir, Guard), nil, logr.Discard())
	if !errors.Is(err, ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if diff := cmp.Diff(before, alive(t, runDir)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestSecondStartsAfterTheFirstIsReady(t *testing.T) {
	runDir := up(t)
	first, err := Load(runDir, "notifier")
	if err != nil {
		t.Fatal(err)
	}
	second, err := Load(runDir, "second")
	if err != nil {
		t.Fatal(err)
	}
	if gap := second.Started.Sub(first.Started); gap < 100*time.Millisecond {
		t.Errorf("the second was started %s after the first, which is ready after 100 ms", gap)
	}
}

// A supervisor that dies between starting a process and writing it down must not leave
// a process that nobody knows of.
func TestUnrecordedProcessEnds(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Setenv(handshakeEnv, fmt.Sprint(read.Fd()))
	if err := AwaitStart(); !errors.Is(err, ErrNotStarted) {
		t.Errorf("got %v, want ErrNotStarted", err)
	}
}

func TestRecordIsOfOneProcessOnly(t *testing.T) {
	r, err := Identify("self", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !r.Alive() {
		t.Error("this process runs")
	}
	later := *r
	later.Ticks++
	if later.Alive() {
		t.Error("another process of the same number was taken for the recorded one")
	}
	boot := *r
	boot.Boot = "another"
	if boot.Alive() {
		t.Error("a record of another boot was believed")
	}
	if (*Record)(nil).Alive() {
		t.Error("no record is no process")
	}
}

func TestParseStat(t *testing.T) {
	line := "42 (a) (b c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 0 0\n"
	ticks, zombie, err := parseStat([]byte(line))
	if err != nil || ticks != 987654 || zombie {
		t.Errorf("got %d, %t, %v", ticks, zombie, err)
	}
	if _, zombie, _ := parseStat([]byte(strings.Replace(line, ") S", ") Z", 1))); !zombie {
		t.Error("a zombie has ended")
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (x) S 1"))
	f.Add([]byte("))))"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if ticks, _, err := parseStat(data); err != nil && ticks != 0 && !strings.Contains(err.Error(), "value out of range") {
			t.Errorf("an error with a value: %d, %v", ticks, err)
		}
	})
}

func TestIsReady(t *testing.T) {
	for message, want := range map[string]bool{"READY=1": true, "STATUS=x\nREADY=1\n": true, "STATUS=READY=1": false, "": false} {
		if got := isReady([]byte(message)); got != want {
			t.Errorf("%q: got %t", message, got)
		}
	}
}
