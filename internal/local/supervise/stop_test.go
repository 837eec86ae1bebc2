// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

func TestStopKillsTheDeaf(t *testing.T) {
	f := folder(t.TempDir())
	deaf, ignores := spec(string(f), "deaf"), newGate()
	deaf.Notifies = true
	if err := f.awaitReady(t.Context(), deaf.Name, ignores.release); err != nil {
		t.Fatal(err)
	}
	c, err := f.start(deaf, 0)
	if err != nil {
		t.Fatal(err)
	}
	go c.reap()
	<-ignores.open
	if err := c.record.Stop(t.Context(), 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if c.record.Alive() {
		t.Error("it is still there")
	}
}

// A stop that was killed after its marker, and after the guard's end, leaves a supervisor that
// does not bring the guard back.
func TestStartFinishesAStopThatWasBrokenOff(t *testing.T) {
	runDir := up(t)
	before := alive(t, runDir)
	if err := os.WriteFile(folder(runDir).stopping(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	guard, err := Load(runDir, Guard)
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := Start(t.Context(), runDir, spec(runDir, Supervisor)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all run", func() bool { return len(alive(t, runDir)) == len(everyone) })
	after := alive(t, runDir)
	if after["notifier"] != before["notifier"] || after["second"] != before["second"] {
		t.Errorf("the components were started again: before %v, after %v", before, after)
	}
}

// A watcher that was being started when the instance was taken down finds its folder gone.
func TestALateWatcherBringsNothingBack(t *testing.T) {
	runDir := filepath.Join(t.TempDir(), "gone")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that one that begins in spite of it starts nothing
	for name, run := range map[string]func() error{
		Supervisor: func() error { return Run(ctx, runDir, spec(runDir, Guard), components(runDir), logr.Discard()) },
		Guard:      func() error { return RunGuard(ctx, runDir, spec(runDir, Supervisor), logr.Discard()) },
	} {
		if err := run(); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: got %v, want that its folder is gone", name, err)
		}
	}
	if _, err := os.Stat(runDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there again: %v", err)
	}
}
