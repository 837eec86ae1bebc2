// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Record is what is written down about one process, in RUN/processes/NAME.json.
type Record struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// Ticks is the start time of the process in clock ticks since boot (field 22 of
	// /proc/PID/stat, see proc(5)). With the boot it tells a process from a later
	// one that got the same PID.
	Ticks uint64 `json:"ticks"`
	Boot  string `json:"boot"`
	// Started is the wall clock time of the start.
	Started time.Time `json:"started"`
	// Restarts counts the starts after the first since the platform came up.
	Restarts int `json:"restarts"`
}

// folder is the layout of a run folder.
type folder string

func (f folder) records() string           { return filepath.Join(string(f), "processes") }
func (f folder) record(name string) string { return filepath.Join(f.records(), name+".json") }
func (f folder) notify(name string) string { return filepath.Join(string(f), "notify", name) }
func (f folder) lock(name string) string   { return filepath.Join(string(f), name+".lock") }
func (f folder) stopping() string          { return filepath.Join(string(f), "stopping") }

// Load returns the record of a process, or nil when there is none.
func Load(runDir, name string) (*Record, error) {
	data, err := os.ReadFile(folder(runDir).record(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &Record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("reading the record of %s: %w", name, err)
	}
	return r, nil
}

// save writes the record so that a reader sees the old or the new one, never a part.
func (r *Record) save(f folder) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := f.record(r.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// Alive says whether the very process of the record still runs.
func (r *Record) Alive() bool {
	if r == nil || r.PID <= 0 || r.Boot != BootID() {
		return false
	}
	ticks, zombie, err := startTicks(r.PID)
	return err == nil && !zombie && ticks == r.Ticks
}

// newRecord describes a process that runs now.
func newRecord(name string, pid, restarts int) (*Record, error) {
	ticks, _, err := startTicks(pid)
	if err != nil {
		return nil, fmt.Errorf("reading the start time of %s: %w", name, err)
	}
	return &Record{Name: name, PID: pid, Ticks: ticks, Boot: BootID(), Started: time.Now().UTC(), Restarts: restarts}, nil
}

// startTicks reads the state and the start time of a process from /proc.
func startTicks(pid int) (ticks uint64, zombie bool, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false, err
	}
	return parseStat(data)
}

// parseStat reads fields 3 and 22 of /proc/PID/stat. The second field is the command in
// parentheses and may itself hold blanks and parentheses, so it counts from the last one.
func parseStat(data []byte) (ticks uint64, zombie bool, err error) {
	end := bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	// Fields count from 1, and these begin with the third.
	const state, starttime = 0, 22 - 3
	if end < 0 || len(fields) <= starttime {
		return 0, false, fmt.Errorf("process status %q is not as proc(5) describes it", data)
	}
	ticks, err = strconv.ParseUint(fields[starttime], 10, 64)
	return ticks, fields[state] == "Z" || fields[state] == "X", err
}

// BootID tells this boot of the machine from any other.
func BootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// Identify describes a process that runs now and is not supervised, so that it can be
// ended without hitting another one of the same number.
func Identify(name string, pid int) (*Record, error) { return newRecord(name, pid, 0) }
