// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
)

// maxLog is the size in bytes at which a log is put aside (as NAME.log.1) before the
// next start of its process.
const maxLog = 16 << 20

// Spec is one process to keep running.
type Spec struct {
	Name string
	// Argv is the program (its path) and its arguments. The program must call
	// AwaitStart before it does anything.
	Argv []string
	// Env is the whole environment of the process.
	Env []string
	// Log is the file that standard output and standard error are appended to.
	Log string
	// After names the processes that must be ready before this one is started
	// for the first time.
	After []string
	// Notifies says that the process reports its readiness by sd_notify(3); one
	// that does not is ready when it is started.
	Notifies bool
	// SelfRecording marks the supervisor and the guard, which write themselves down
	// once they hold their lock: whoever loses the race for it must not be taken
	// for the one that serves.
	SelfRecording bool
}

// child is a process that runs now, started here or adopted.
type child struct {
	*handle
	record *Record
	// reap collects the exit status; nil for a process that is not our child.
	reap func() error
}

// start runs the process and returns once it is recorded and allowed to go on.
func (f folder) start(s Spec, restarts int) (*child, error) {
	log, err := openLog(s.Log)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", s.Name, err)
	}
	defer log.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	cmd := exec.Command(s.Argv[0], s.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{read}
	// ExtraFiles begin at descriptor 3.
	cmd.Env = append(slices.Clone(s.Env), handshakeEnv+"=3")
	if s.Notifies {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+f.notify(s.Name))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	read.Close()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	c, err := f.track(s, cmd.Process.Pid, restarts)
	if err != nil {
		// Without the byte it ends by itself; collect it.
		write.Close()
		cmd.Wait()
		return nil, err
	}
	c.reap = cmd.Wait
	if _, err := write.Write([]byte{1}); err != nil {
		return c, fmt.Errorf("releasing %s: %w", s.Name, err)
	}
	return c, nil
}

// track writes a running process down and opens it.
func (f folder) track(s Spec, pid, restarts int) (*child, error) {
	record, err := newRecord(s.Name, pid, restarts)
	if err != nil {
		return nil, err
	}
	h, ok, err := record.open()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s ended before it was recorded", s.Name)
	}
	if s.SelfRecording {
		return &child{handle: h, record: record}, nil
	}
	if err := record.save(f); err != nil {
		h.close()
		return nil, fmt.Errorf("recording %s: %w", s.Name, err)
	}
	return &child{handle: h, record: record}, nil
}

// adopt returns the recorded process when it still runs, else nil. Either way it
// returns the record, for the count of restarts.
func (f folder) adopt(name string) (*child, *Record, error) {
	record, err := Load(string(f), name)
	if err != nil || record == nil {
		return nil, nil, err
	}
	h, ok, err := record.open()
	if err != nil || !ok {
		return nil, record, err
	}
	return &child{handle: h, record: record}, record, nil
}

// wait returns when the process has ended (how, in words) or the context has.
func (c *child) wait(ctx context.Context) (how string, err error) {
	defer c.close()
	if err := c.handle.wait(ctx); err != nil {
		return "", err
	}
	if c.reap == nil {
		return "ended (it was adopted, so its exit status is unknown)", nil
	}
	if err := c.reap(); err != nil {
		return err.Error(), nil
	}
	return "exit status 0", nil
}

// openLog opens a log for appending and puts a long one aside first.
func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}
