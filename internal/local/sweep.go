// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// sweepProcesses ends what containerd could not end because it was killed itself: the
// shims of its containers, then every process in the containers' control groups.
func sweepProcesses(ctx context.Context, l layout) error {
	ids, err := containerIDs(l)
	if err != nil {
		return err
	}
	inContainer := func(_ layout, pid string) bool { return inCgroup(ids, pid) }
	for _, ours := range []func(layout, string) bool{isShim, inContainer} {
		if err := endAll(ctx, l, ours); err != nil {
			return err
		}
	}
	removeShimSockets(l, ids)
	return removeCgroups(ids)
}

// removeShimSockets removes the sockets of killed shims, which are outside of our
// folders; each container's folder names its shim's.
func removeShimSockets(l layout, ids []string) {
	for _, id := range ids {
		data, err := os.ReadFile(filepath.Join(l.containers(), id, "address"))
		if err != nil {
			continue
		}
		socket := strings.TrimPrefix(strings.TrimSpace(string(data)), "unix://")
		if filepath.Dir(socket) == "/run/containerd/s" {
			// One socket serves all containers of a Pod, so it may be gone already.
			os.Remove(socket)
		}
	}
}

// containerIDs are the containers that containerd has not cleaned up.
func containerIDs(l layout) ([]string, error) {
	entries, err := os.ReadDir(l.containers())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids, nil
}

func endAll(ctx context.Context, l layout, ours func(layout, string) bool) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !ours(l, e.Name()) {
			continue
		}
		group.Go(func() error {
			record, err := supervise.Identify("a container's process", pid)
			if err != nil {
				return nil // It has ended meanwhile.
			}
			// Asked again, now that the process is held by more than its number.
			if !ours(l, strconv.Itoa(pid)) {
				return nil
			}
			return record.Kill(ctx)
		})
	}
	return group.Wait()
}

// isShim says whether a process is a containerd shim of this instance's containerd.
func isShim(l layout, pid string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
	if err != nil {
		return false
	}
	args := strings.Split(string(line), "\x00")
	if !strings.HasPrefix(filepath.Base(args[0]), "containerd-shim") {
		return false
	}
	for i, arg := range args[:len(args)-1] {
		if arg == "-address" && args[i+1] == l.containerdSocket() {
			return true
		}
	}
	return false
}

// inCgroup says whether a process is in one of the containers. containerd gives each a
// control group k8s.io/ID.
func inCgroup(containers []string, pid string) bool {
	data, err := os.ReadFile(filepath.Join("/proc", pid, "cgroup"))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(data) {
		// hierarchy:controllers:path, see cgroups(7).
		parts := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(parts) != 3 {
			continue
		}
		id, ok := strings.CutPrefix(parts[2], "/"+containerGroup+"/")
		id, _, _ = strings.Cut(id, "/")
		if ok && slices.Contains(containers, id) {
			return true
		}
	}
	return false
}

// unmountBelow unmounts everything below the folders, the last mounted first.
func unmountBelow(folders ...string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	points := mountPoints(data)
	for i := len(points) - 1; i >= 0; i-- {
		for _, f := range folders {
			if !strings.HasPrefix(points[i], f+"/") {
				continue
			}
			if err := unix.Unmount(points[i], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("unmounting %s: %w", points[i], err)
			}
		}
	}
	return nil
}

var octal = regexp.MustCompile(`\\[0-7]{3}`)

// mountPoints reads field 5 of /proc/self/mountinfo, where blanks are written in octal.
func mountPoints(data []byte) []string {
	var points []string
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) < 5 {
			continue
		}
		points = append(points, octal.ReplaceAllStringFunc(fields[4], func(s string) string {
			n, _ := strconv.ParseUint(s[1:], 8, 8)
			return string([]byte{byte(n)})
		}))
	}
	return points
}

// containerGroup is the control group, in every hierarchy, that containerd's CRI makes
// one for each container in. Instances and other programs with a containerd share it.
const containerGroup = "k8s.io"

// containerGroups are the paths of containerGroup, cgroups version 2 first.
func containerGroups() []string {
	groups := []string{filepath.Join("/sys/fs/cgroup", containerGroup)}
	entries, err := os.ReadDir("/sys/fs/cgroup")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != containerGroup {
			groups = append(groups, filepath.Join("/sys/fs/cgroup", e.Name(), containerGroup))
		}
	}
	return groups
}

// removeCgroups removes the control groups of containers.
func removeCgroups(containers []string) error {
	var errs []error
	for _, group := range containerGroups() {
		for _, id := range containers {
			path := filepath.Join(group, id)
			if _, err := os.Stat(path); err == nil {
				errs = append(errs, removeCgroup(path))
			}
		}
	}
	return errors.Join(errs...)
}

// removeCgroup removes a control group and those below it; its files cannot be removed.
func removeCgroup(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroup(filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("removing the control group %s: %w", path, err)
	}
	return nil
}

// removeTraces removes what programs of the node leave outside of the state folder:
// libcni's cached results and the kubelet's links to logs. The address leases go too,
// because no container is left to hold one.
func removeTraces(l layout) error {
	errs := []error{os.RemoveAll(l.in("cni", "addresses"))}
	own := regexp.MustCompile("^" + regexp.QuoteMeta(l.cniNetwork()) + "-([0-9a-f]{64})-")
	results, err := os.ReadDir("/var/lib/cni/results")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	for _, r := range results {
		if m := own.FindStringSubmatch(r.Name()); m != nil {
			os.Remove(filepath.Join("/var/lib/cni/results", "cni-loopback-"+m[1]+"-lo"))
			errs = append(errs, os.Remove(filepath.Join("/var/lib/cni/results", r.Name())))
		}
	}
	links, err := filepath.Glob("/var/log/containers/*.log")
	if err != nil {
		errs = append(errs, err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, l.state+"/") {
			errs = append(errs, os.Remove(link))
		}
	}
	return errors.Join(errs...)
}
