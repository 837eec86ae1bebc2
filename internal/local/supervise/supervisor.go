// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// Names of the two processes that watch each other.
const (
	Supervisor = "supervisor"
	Guard      = "guard"
)

// Back-off between the end of a process and its next start: it doubles from first to
// last, and begins again once a process has run for steady.
const (
	firstBackOff = 200 * time.Millisecond
	lastBackOff  = 10 * time.Second
	steady       = 30 * time.Second
)

// Run is the supervisor: it keeps the specs and its guard running until the context
// ends, and then leaves them running. It returns ErrLocked when another supervisor
// serves runDir.
func Run(ctx context.Context, runDir string, guard Spec, specs []Spec, log logr.Logger) error {
	f := folder(runDir)
	lock, err := tryLock(f.lock(Supervisor))
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := f.recordSelf(Supervisor); err != nil {
		return err
	}
	k := &keeper{folder: f, log: log, ready: map[string]*gate{}}
	for _, s := range specs {
		k.ready[s.Name] = newGate()
	}
	var all sync.WaitGroup
	for _, s := range append([]Spec{guard}, specs...) {
		all.Go(func() { k.keep(ctx, s) })
	}
	all.Wait()
	return nil
}

// RunGuard is the guard: it keeps the supervisor running until the context ends. It
// returns ErrLocked when another guard serves runDir.
func RunGuard(ctx context.Context, runDir string, supervisor Spec, log logr.Logger) error {
	f := folder(runDir)
	lock, err := tryLock(f.lock(Guard))
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := f.recordSelf(Guard); err != nil {
		return err
	}
	k := &keeper{folder: f, log: log, ready: map[string]*gate{}}
	k.keep(ctx, supervisor)
	return nil
}

// Start begins supervision of runDir unless it runs: the supervisor starts the rest. A stop that
// was broken off is finished first, because the watchers that saw its marker no longer bring back
// what has ended.
func Start(ctx context.Context, runDir string, supervisor Spec) error {
	f := folder(runDir)
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		return err
	}
	if f.isStopping() {
		if err := StopSupervision(ctx, runDir); err != nil {
			return err
		}
		if err := os.Remove(f.stopping()); err != nil {
			return err
		}
	}
	c, record, err := f.adopt(Supervisor)
	if err != nil {
		return err
	}
	if c == nil {
		if c, err = f.start(supervisor, restartsOf(record)); err != nil {
			return err
		}
	}
	c.close()
	return nil
}

// StopSupervision ends supervisor and guard and leaves the components running. The
// marker keeps either from bringing the other back.
func StopSupervision(ctx context.Context, runDir string) error {
	f := folder(runDir)
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(f.stopping(), nil, 0o600); err != nil {
		return err
	}
	// Twice: a guard that was starting a supervisor when the marker appeared is
	// gone after the first round, what it started after the second.
	for range 2 {
		for _, name := range []string{Guard, Supervisor} {
			record, err := Load(runDir, name)
			if err != nil {
				return err
			}
			if err := record.Stop(ctx, 5*time.Second); err != nil {
				return err
			}
		}
	}
	return nil
}

// recordSelf writes this process down under name, unless its parent has.
func (f folder) recordSelf(name string) error {
	old, err := Load(string(f), name)
	if err != nil {
		return err
	}
	if old != nil && old.PID == os.Getpid() && old.Alive() {
		return nil
	}
	record, err := newRecord(name, os.Getpid(), restartsOf(old))
	if err != nil {
		return err
	}
	return record.save(f)
}

// restartsOf is the count for the next start after a record.
func restartsOf(old *Record) int {
	if old == nil || old.Boot != BootID() {
		return 0
	}
	return old.Restarts + 1
}

// gate is something that is ready once and stays so.
type gate struct {
	once sync.Once
	open chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

// keeper keeps processes of one folder running.
type keeper struct {
	folder folder
	log    logr.Logger
	ready  map[string]*gate
}

// keep runs one process until the context ends: adopts or starts it, waits for its
// end, backs off, and again.
func (k *keeper) keep(ctx context.Context, s Spec) {
	log := k.log.WithValues("process", s.Name)
	pause := firstBackOff
	for ctx.Err() == nil && !k.folder.isStopping() {
		began := time.Now()
		how, err := k.once(ctx, s)
		if ctx.Err() != nil || k.folder.isStopping() {
			return
		}
		if err != nil {
			log.Error(err, "cannot keep the process running", "next", pause.String())
		} else {
			log.Info("process ended", "how", how, "after", time.Since(began).Round(time.Millisecond).String(), "next", pause.String())
		}
		if time.Since(began) > steady {
			pause = firstBackOff
		}
		if err := wait(ctx, pause); err != nil {
			return
		}
		pause = min(2*pause, lastBackOff)
	}
}

// once sees one process from its start (or adoption) to its end.
func (k *keeper) once(ctx context.Context, s Spec) (how string, err error) {
	c, record, err := k.folder.adopt(s.Name)
	if err != nil {
		return "", err
	}
	gate := k.ready[s.Name]
	if gate == nil {
		gate = newGate()
	}
	if c != nil {
		k.log.Info("adopted", "process", s.Name, "pid", c.record.PID)
		gate.release()
		return c.wait(ctx)
	}
	if err := k.dependencies(ctx, s); err != nil {
		return "", err
	}
	if s.Notifies {
		listening, cancel := context.WithCancel(ctx)
		defer cancel()
		if err := k.folder.awaitReady(listening, s.Name, gate.release); err != nil {
			return "", err
		}
	}
	c, err = k.folder.start(s, restartsOf(record))
	if err != nil {
		return "", errors.Join(err, c.release())
	}
	k.log.Info("started", "process", s.Name, "pid", c.record.PID)
	if !s.Notifies {
		gate.release()
	}
	return c.wait(ctx)
}

// release lets go of a process that may not have been started at all.
func (c *child) release() error {
	if c == nil {
		return nil
	}
	c.close()
	return nil
}

// dependencies waits for what the process comes after.
func (k *keeper) dependencies(ctx context.Context, s Spec) error {
	for _, name := range s.After {
		gate, ok := k.ready[name]
		if !ok {
			return fmt.Errorf("%s comes after %s, which nobody starts", s.Name, name)
		}
		select {
		case <-gate.open:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (f folder) isStopping() bool {
	_, err := os.Stat(f.stopping())
	return err == nil
}

// wait is a pause that the context cuts short.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
