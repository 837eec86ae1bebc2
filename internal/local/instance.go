// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Instance is what a state folder remembers, in STATE/instance.json.
type Instance struct {
	Name string `json:"name"`
	// Version is the version of Skerry that last brought the instance up.
	Version   string    `json:"version"`
	Addresses Addresses `json:"addresses"`
	// Seconds are how long each action of the last Up took, for the estimate of the next.
	Seconds map[string]float64 `json:"seconds,omitempty"`
}

func (l layout) instanceFile() string { return l.in("instance.json") }

// loadInstance returns nil when the folder holds none.
func loadInstance(l layout) (*Instance, error) {
	data, err := os.ReadFile(l.instanceFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state folder: %w", err)
	}
	i := &Instance{}
	if err := json.Unmarshal(data, i); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; forget the instance with `skerry down --purge`", l.instanceFile(), err)
	}
	return i, nil
}

func (i *Instance) save(l layout) error {
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(l.instanceFile(), append(data, '\n'), 0o600)
}

// writeFile replaces a file as a whole and makes its folder.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// lockState lets one Up or Down at a time work on a state folder, and waits for the
// other. The lock is on the folder itself, so nothing is left behind.
func lockState(l layout) (unlock func(), err error) { return lockFolder(l.state, 0o700) }

// lockFolder locks a folder, which is made, and waits for whoever has it.
func lockFolder(path string, mode fs.FileMode) (unlock func(), err error) {
	for {
		err := os.MkdirAll(path, mode)
		if info, gone := os.Lstat(path); errors.Is(err, fs.ErrExist) && (gone != nil || info.IsDir()) {
			continue // it was made and removed by others at the same time
		}
		if err != nil {
			return nil, err
		}
		dir, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed again meanwhile
		}
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
			dir.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		// The one that we waited for may have removed the folder: a lock on what is gone
		// keeps nobody out.
		if sameFolder(dir, path) {
			return func() { dir.Close() }, nil
		}
		dir.Close()
	}
}

func sameFolder(open *os.File, path string) bool {
	a, err := open.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// seconds rounds a duration for people and for the record.
func seconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Millisecond)) / float64(time.Second)
}
