// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
)

// awaitReady listens on a process's notification socket and closes ready at its first
// READY=1, the message of sd_notify(3). It must be called before the process starts.
func (f folder) awaitReady(ctx context.Context, name string, ready func()) error {
	path := f.notify(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// A socket file of an earlier supervisor would make the address taken.
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("listening for the readiness of %s: %w", name, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	go func() {
		defer stop()
		defer conn.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			if isReady(buffer[:n]) {
				ready()
			}
		}
	}()
	return nil
}

// isReady finds the line READY=1 in a notification.
func isReady(message []byte) bool {
	return slices.ContainsFunc(bytes.Split(message, []byte("\n")), func(line []byte) bool {
		return string(bytes.TrimSpace(line)) == "READY=1"
	})
}
