// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// PodProcess finds the process of a platform Pod on this instance by what it was started
// with: a child of one of the instance's containerd shims, which are told the address of its
// containerd, with the first word as its program and the second among its arguments.
func PodProcess(words ...string) (pid int, err error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range dirs {
		args := strings.Split(content(dir+"/cmdline"), "\x00")
		if filepath.Base(args[0]) != words[0] || !slices.Contains(args, words[1]) {
			continue
		}
		// Fields of stat(5) behind the command's closing parenthesis: state, parent.
		_, rest, _ := strings.Cut(content(dir+"/stat"), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && strings.Contains(content("/proc/"+fields[1]+"/cmdline"), "/"+Host.Instance+"/containerd.sock") {
			return strconv.Atoi(filepath.Base(dir))
		}
	}
	return 0, fmt.Errorf("no process %v under this instance's containerd", words)
}

// content is empty for a process that has just ended.
func content(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(data)
}
