// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package fence

// Processes returns the ids of the processes that wait for a question.
func Processes(f *Fence) []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []int
	for _, c := range f.idle {
		out = append(out, c.cmd.Process.Pid)
	}
	return out
}
