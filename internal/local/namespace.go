// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ensureNamespace makes a network namespace with a name, as ip-netns(8) describes it: a
// mount of the namespace on a file in /run/netns.
func ensureNamespace(path string) error {
	if isNamespace(path) {
		return nil
	}
	if err := shareNames(); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("naming the network namespace: %w", err)
	}
	file.Close()
	return inThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		source := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		if err := unix.Mount(source, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("naming the network namespace %s: %w", path, err)
		}
		return nil
	})
}

// namesDir holds the names of network namespaces.
const namesDir = "/run/netns"

// shareNames makes the folder of names a shared mount, as ip-netns(8) does before its
// first namespace. If it came second, it would cover our mounts with copies, and the
// names below could not be removed any more. For the same reason a folder that has
// names already stays as it is.
func shareNames() error {
	if err := os.MkdirAll(namesDir, 0o755); err != nil {
		return err
	}
	if mounted, err := isMounted(namesDir); err != nil || mounted {
		return err
	}
	if names, err := filepath.Glob(namesDir + "/*"); err != nil || slices.ContainsFunc(names, isNamespace) {
		return err
	}
	if err := unix.Mount(namesDir, namesDir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", namesDir, err)
	}
	if err := unix.Mount("", namesDir, "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("sharing %s: %w", namesDir, err)
	}
	return nil
}

// unshareNames undoes shareNames when no name is left.
func unshareNames() error {
	entries, err := os.ReadDir(namesDir)
	if err != nil || len(entries) > 0 {
		return nil
	}
	if mounted, err := isMounted(namesDir); err != nil || !mounted {
		return err
	}
	if err := unix.Unmount(namesDir, 0); err != nil {
		return fmt.Errorf("unmounting %s: %w", namesDir, err)
	}
	return nil
}

// isMounted says whether a path is a mount point.
func isMounted(path string) (bool, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	return slices.Contains(mountPoints(data), path), err
}

// isNamespace says whether something (a namespace) is mounted at path.
func isNamespace(path string) bool {
	var s unix.Statfs_t
	return unix.Statfs(path, &s) == nil && s.Type == unix.NSFS_MAGIC
}

func removeNamespace(path string) error {
	for isNamespace(path) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("removing the network namespace %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// inThread runs do in a thread of its own that ends with it, so that the thread's
// namespaces touch nothing else in this process.
func inThread(do func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread with the goroutine.
		runtime.LockOSThread()
		result <- do()
	}()
	return <-result
}

// inNamespace runs do with the network of the namespace at path. Processes that it
// starts are in that network.
func inNamespace(path string, do func() error) error {
	return inThread(func() error {
		ns, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("opening the node's network namespace: %w", err)
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering the node's network namespace: %w", err)
		}
		return do()
	})
}

// handleIn talks about links and routes inside a namespace.
func handleIn(ns *os.File) (*netlink.Handle, error) {
	h, err := netlink.NewHandleAt(netns.NsHandle(ns.Fd()))
	if err != nil {
		return nil, fmt.Errorf("entering the node's network namespace: %w", err)
	}
	return h, nil
}

// run runs a program to its end and puts what it printed into the error.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lastLines(out, 5))
	}
	return nil
}
