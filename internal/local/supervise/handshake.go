// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"errors"
	"io"
	"os"
	"strconv"
)

// handshakeEnv names the variable with the number of the file descriptor that a
// started process reads before it does anything.
const handshakeEnv = "SKERRY_START_FD"

// ErrNotStarted is AwaitStart's error when the supervisor died before it had written
// down that this process exists.
var ErrNotStarted = errors.New("the supervisor ended before this process was recorded")

// AwaitStart blocks a supervised process until its supervisor has recorded it. So no
// process runs that a later supervisor would not find and adopt: when the
// supervisor dies in between, the pipe closes without a byte and the process must end.
// Outside a supervisor it returns at once.
func AwaitStart() error {
	text, ok := os.LookupEnv(handshakeEnv)
	if !ok {
		return nil
	}
	if err := os.Unsetenv(handshakeEnv); err != nil {
		return err
	}
	fd, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	pipe := os.NewFile(uintptr(fd), "start")
	defer pipe.Close()
	var b [1]byte
	if _, err := io.ReadFull(pipe, b[:]); err != nil {
		return ErrNotStarted
	}
	return nil
}
