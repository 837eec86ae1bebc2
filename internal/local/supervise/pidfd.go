// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// handle is an open process file descriptor: it means one process for as long as it is
// open, whatever happens to its number.
type handle struct{ file *os.File }

// open returns a handle on a recorded process; ok is false when it has ended.
func (r *Record) open() (h *handle, ok bool, err error) {
	if r == nil || r.PID <= 0 {
		return nil, false, nil
	}
	fd, err := unix.PidfdOpen(r.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("opening process %d of %s: %w", r.PID, r.Name, err)
	}
	h = &handle{file: os.NewFile(uintptr(fd), "pidfd")}
	// Only now is the number held: it may have been another process's before.
	if !r.Alive() {
		h.close()
		return nil, false, nil
	}
	return h, true, nil
}

func (h *handle) close() { h.file.Close() }

// wait returns nil when the process has ended, or the context's error.
func (h *handle) wait(ctx context.Context) error {
	conn, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { h.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var pollErr error
	err = conn.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if errors.Is(err, unix.EINTR) {
			return false
		}
		pollErr = err
		return n > 0 || err != nil
	})
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	return errors.Join(err, pollErr)
}

// signal sends to this very process; one that has ended is no error.
func (h *handle) signal(s unix.Signal) error {
	conn, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	if err := conn.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), s, nil, 0) }); err != nil {
		return err
	}
	if errors.Is(sendErr, unix.ESRCH) {
		return nil
	}
	return sendErr
}

// Stop ends a recorded process: SIGTERM, and SIGKILL when it is still there after the
// grace period. It returns when the process is gone; one that is gone already is no error.
func (r *Record) Stop(ctx context.Context, grace time.Duration) error {
	h, ok, err := r.open()
	if err != nil || !ok {
		return err
	}
	defer h.close()
	if err := h.signal(unix.SIGTERM); err != nil {
		return fmt.Errorf("ending %s: %w", r.Name, err)
	}
	waiting, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	err = h.wait(waiting)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if err := h.signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("killing %s: %w", r.Name, err)
	}
	killed, cancel := context.WithTimeout(ctx, 30*time.Second) // its last write may take so long
	defer cancel()
	// After the deadline of the first wait the handle needs a fresh one.
	if err := h.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if err := h.wait(killed); err != nil {
		return fmt.Errorf("process %d of %s does not end, even killed: %w", r.PID, r.Name, err)
	}
	return nil
}

// Kill ends a recorded process at once and returns when it is gone.
func (r *Record) Kill(ctx context.Context) error {
	h, ok, err := r.open()
	if err != nil || !ok {
		return err
	}
	defer h.close()
	if err := h.signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("killing %s: %w", r.Name, err)
	}
	return h.wait(ctx)
}
