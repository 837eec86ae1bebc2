// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/memory"
)

const (
	// clonePattern is how a clone's folder is called.
	clonePattern = "clone-*"
	// mostFetched is how much of a repository is fetched for one revision, in bytes: as much as the
	// platform's Git server takes in one push.
	mostFetched = 256 << 20
	// objectCache is how much of a clone on disk is kept in memory.
	objectCache = 8 * cache.MiByte
)

// errTooLarge: the repository sent more than mostFetched.
var errTooLarge = errors.New("the repository is too large")

// prepareCacheDir makes the folder for clones and removes what a killed engine left in it.
func prepareCacheDir(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder for clones: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, clonePattern))
	for _, clone := range left {
		err = errors.Join(err, os.RemoveAll(clone))
	}
	if err != nil {
		return fmt.Errorf("removing old clones: %w", err)
	}
	return nil
}

// newStorage is where a clone's objects go while they are read: a folder of its own in cacheDir, or memory.
func newStorage(cacheDir string) (storage.Storer, func(), error) {
	if cacheDir == "" {
		return memory.NewStorage(), func() {}, nil
	}
	dir, err := os.MkdirTemp(cacheDir, clonePattern)
	if err != nil {
		return nil, nil, fmt.Errorf("making a folder for a clone: %w", err)
	}
	store := filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(objectCache))
	return &boundedStorage{Storage: store, most: mostFetched}, func() { _ = os.RemoveAll(dir) }, nil
}

// boundedStorage takes packs up to a size, in bytes: a repository must not fill the disk that all share.
type boundedStorage struct {
	*filesystem.Storage
	most int64
}

// PackfileWriter implements storer.PackfileWriter.
func (s *boundedStorage) PackfileWriter() (io.WriteCloser, error) {
	w, err := s.Storage.PackfileWriter()
	if err != nil {
		return nil, err
	}
	return &boundedWriter{WriteCloser: w, left: s.most}, nil
}

type boundedWriter struct {
	io.WriteCloser
	left int64
}

// Write implements io.Writer.
func (w *boundedWriter) Write(p []byte) (int, error) {
	if w.left -= int64(len(p)); w.left < 0 {
		return 0, errTooLarge
	}
	return w.WriteCloser.Write(p)
}
