// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/skerry-platform/skerry/internal/image"
)

// thisMachine asks the machine that it runs on.
type thisMachine struct{}

func (thisMachine) OS() string { return runtime.GOOS }
func (thisMachine) EUID() int  { return os.Geteuid() }

func (thisMachine) HasProgram(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// HasKernel tries what the feature is for, so that a module is loaded by the kernel
// where it can be, and one that is built in counts.
func (thisMachine) HasKernel(feature string) bool {
	switch feature {
	case "overlay":
		return hasFilesystem("overlay")
	case "nf_tables":
		return exec.Command("nft", "list", "tables").Run() == nil
	case "veth":
		return inThread(tryVeth) == nil
	default:
		return false
	}
}

func hasFilesystem(name string) bool {
	has := func() bool {
		data, err := os.ReadFile("/proc/filesystems")
		return err == nil && bytes.Contains(data, []byte("\t"+name+"\n"))
	}
	if has() {
		return true
	}
	return exec.Command("modprobe", name).Run() == nil && has()
}

// tryVeth makes a pair in a network namespace that goes away with the thread.
func tryVeth() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	h, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	pair := netlink.NewVeth(netlink.LinkAttrs{Name: "try0"})
	pair.PeerName = "try1"
	return h.LinkAdd(pair)
}

func (thisMachine) FreeDisk(path string) (uint64, error) {
	for {
		var s unix.Statfs_t
		err := unix.Statfs(path, &s)
		if err == nil {
			return s.Bavail * uint64(s.Bsize), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || path == "/" {
			return 0, err
		}
		path = filepath.Dir(path)
	}
}

func (thisMachine) FreeMemory() (uint64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return memAvailable(string(data))
}

// memAvailable reads "MemAvailable: N kB" of /proc/meminfo; see proc(5).
func memAvailable(text string) (uint64, error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "MemAvailable:" {
			kib, err := strconv.ParseUint(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo has no MemAvailable")
}

func (thisMachine) NamespaceInUse(name string) bool {
	return isNamespace(filepath.Join(namesDir, name))
}

func (thisMachine) ListeningPorts(namespace string) ([]int, error) {
	path := filepath.Join(namesDir, namespace)
	if !isNamespace(path) {
		return nil, nil
	}
	var ports []int
	err := inNamespace(path, func() error {
		for _, table := range []string{"tcp", "tcp6"} {
			data, err := os.ReadFile("/proc/thread-self/net/" + table)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			ports = append(ports, listening(string(data))...)
		}
		return nil
	})
	return ports, err
}

// listening reads the ports in state LISTEN of a table as in /proc/net/tcp: the second
// column is the local address and port in hexadecimal, the fourth the state.
func listening(table string) []int {
	const listen = "0A"
	var ports []int
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != listen {
			continue
		}
		_, hex, _ := strings.Cut(fields[1], ":")
		if port, err := strconv.ParseUint(hex, 16, 16); err == nil {
			ports = append(ports, int(port))
		}
	}
	return ports
}

// checkImages turns each missing program of the images into a PreflightError.
func checkImages(in preflightInput) error {
	err := image.CheckPrograms(in.options.BinDir, in.images)
	if err == nil {
		return nil
	}
	return &PreflightError{CheckImages, err.Error(), "make build"}
}
