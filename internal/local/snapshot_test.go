// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// snapshot is what an instance may change on a machine. Other instances may come and
// go while the test runs, so lists hold only what could be of the test's instances;
// the settings that the last instance puts back are compared when there is no other one.
type snapshot struct {
	Links, Routes, Namespaces, Tables, Mounts, Processes, Traces []string
	Settings                                                     map[string]string
}

var ownWords = regexp.MustCompile(`platform-test|sky-[0-9a-f]{8}\b`)

func takeSnapshot(t *testing.T) snapshot {
	t.Helper()
	s := snapshot{
		Links:      ownLines(command(t, "ip", "-o", "link")),
		Routes:     ownLines(command(t, "ip", "route")),
		Namespaces: ownLines(command(t, "ip", "netns")),
		Tables:     ownLines(command(t, "nft", "list", "tables")),
		Mounts:     mountPoints(t),
		Processes:  processes(t),
	}
	for _, pattern := range []string{"/run/netns/*", "/var/lib/cni/results/*", "/var/log/containers/*", "/run/skerry/*", "/var/lib/skerry/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		s.Traces = append(s.Traces, ownLines(strings.Join(paths, "\n"))...)
	}
	// The record of the instances that are up: the last one that goes down removes it.
	record, err := os.ReadFile("/run/skerry/machine.json")
	if err != nil {
		s.Settings = settings(t)
	} else if ownWords.Match(record) {
		s.Traces = append(s.Traces, "/run/skerry/machine.json: "+string(record))
	}
	return s
}

// mountPoints leaves out the numbers of mounts, which are never the same.
func mountPoints(t *testing.T) []string {
	var points []string
	for line := range strings.Lines(read(t, "/proc/self/mountinfo")) {
		if point := strings.Fields(line)[4]; ownWords.MatchString(point) {
			points = append(points, point)
		}
	}
	return points
}

// settings are kernel settings and folders that instances share.
func settings(t *testing.T) map[string]string {
	values := map[string]string{}
	for _, name := range []string{
		"net/ipv4/ip_forward", "vm/overcommit_memory", "vm/panic_on_oom",
		"kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	} {
		values[name] = read(t, filepath.Join("/proc/sys", name))
	}
	for _, path := range []string{"/run/skerry", "/run/containerd", "/run/netns", "/var/lib/cni", "/var/log/containers", "/var/lib/kubelet", "/opt/containerd", "/etc/cni"} {
		_, err := os.Stat(path)
		values[path] = map[bool]string{true: "there", false: "absent"}[err == nil]
	}
	values["/run/netns is mounted"] = strconv.FormatBool(strings.Contains(read(t, "/proc/self/mountinfo"), " /run/netns "))
	groups, err := filepath.Glob("/sys/fs/cgroup/*/k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	values["control groups"] = strings.Join(groups, " ")
	return values
}

// processes are the command lines of processes of the test's instances, but for the
// test itself.
func processes(t *testing.T) []string {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), "/platform-test") {
			lines = append(lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	slices.Sort(lines)
	return lines
}

func ownLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if ownWords.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return lines
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
