// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Visibility of a repository: everybody may read a public one.
const (
	VisibilityPublic  = "public"
	VisibilityPrivate = "private"
)

// markerFile, in the bare repository, holds its metadata as JSON.
const markerFile = "skerry.json"

var (
	// namePattern is what an owner and a repository may be called: no separators, so
	// that a name is always exactly one path element.
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)

	// ErrName: the owner's or the repository's name is not allowed.
	ErrName = errors.New("name not allowed")
	// ErrNotFound: there is no such repository.
	ErrNotFound = errors.New("no such repository")
)

// repoID names one repository. Build it with newRepoID only: its folder is made from it.
type repoID struct{ Owner, Name string }

// newRepoID checks both names.
func newRepoID(owner, name string) (repoID, error) {
	for field, v := range map[string]string{"owner": owner, "name": name} {
		if !namePattern.MatchString(v) || strings.Contains(v, "..") ||
			strings.HasSuffix(v, ".git") || strings.HasSuffix(v, ".lock") || strings.HasSuffix(v, ".") {
			return repoID{}, fmt.Errorf("%w: %s %q (lower-case letters, digits, '.', '_' and '-', at most 100)", ErrName, field, v)
		}
	}
	if owner == "api" {
		return repoID{}, fmt.Errorf("%w: owner %q is reserved", ErrName, owner)
	}
	return repoID{Owner: owner, Name: name}, nil
}

func (id repoID) String() string { return id.Owner + "/" + id.Name }

// path is the folder of the bare repository, relative to the data folder.
func (id repoID) path() string { return filepath.Join(id.Owner, id.Name+".git") }

// Metadata of a repository, kept inside it.
type Metadata struct {
	// ManagedBy is who created it through the API. Empty: somebody put it there by hand.
	ManagedBy string `json:"managedBy,omitempty"`
	// Visibility is public or private.
	Visibility string `json:"visibility,omitempty"`
	// CloneURL is the address that clients were given, for push events.
	CloneURL string `json:"cloneURL,omitempty"`
	// Description for the index page.
	Description string `json:"description,omitempty"`
}

func (s *Server) dir(id repoID) string { return filepath.Join(s.opts.DataDir, id.path()) }

// metadata reads the marker of a repository. A repository without one is private and
// managed by nobody.
func (s *Server) metadata(id repoID) (Metadata, error) {
	if _, err := os.Stat(filepath.Join(s.dir(id), "HEAD")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Metadata{}, fmt.Errorf("%w: %s", ErrNotFound, id)
		}
		return Metadata{}, err
	}
	m := Metadata{Visibility: VisibilityPrivate}
	data, err := os.ReadFile(filepath.Join(s.dir(id), markerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return Metadata{}, fmt.Errorf("reading %s of %s: %w", markerFile, id, err)
	}
	return m, nil
}

// create makes an empty repository with the branch main, in one rename, so that a crash
// leaves no half of one. created is false when it was there already; its metadata then
// follows the request when the same manager asks, and stays as it is otherwise.
func (s *Server) create(ctx context.Context, id repoID, m Metadata) (created bool, err error) {
	defer s.locks.lock(id.String())()
	have, err := s.metadata(id)
	switch {
	case err == nil && have.ManagedBy != "" && have.ManagedBy == m.ManagedBy && have != m:
		return false, writeMarker(s.dir(id), m)
	case !errors.Is(err, ErrNotFound):
		return false, err
	}
	tmp, err := os.MkdirTemp(s.opts.DataDir, temporaryPattern)
	if err != nil {
		return false, fmt.Errorf("creating %s: %w", id, err)
	}
	defer os.RemoveAll(tmp)
	bare := filepath.Join(tmp, "repo")
	if _, err := s.run(ctx, tmp, "init", "--quiet", "--bare", "--template=", "--initial-branch="+defaultBranch, bare); err != nil {
		return false, err
	}
	if err := s.configure(bare, m); err != nil {
		return false, fmt.Errorf("configuring %s: %w", id, err)
	}
	if err := os.MkdirAll(filepath.Join(s.opts.DataDir, id.Owner), 0o750); err != nil {
		return false, fmt.Errorf("creating %s: %w", id, err)
	}
	if err := os.Rename(bare, s.dir(id)); err != nil {
		return false, fmt.Errorf("creating %s: %w", id, err)
	}
	return true, nil
}

// configure writes the repository's Git configuration and its marker.
func (s *Server) configure(bare string, m Metadata) error {
	f, err := os.OpenFile(filepath.Join(bare, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, `[http]
	receivepack = true
[receive]
	fsckObjects = true
	maxInputSize = %d
[uploadpack]
	allowFilter = true
	allowReachableSHA1InWant = true
[gc]
	autoDetach = false
`, s.opts.MaxPushBytes)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return writeMarker(bare, m)
}

// writeMarker replaces a repository's metadata in one rename.
func writeMarker(bare string, m Metadata) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	file := filepath.Join(bare, markerFile)
	if err := os.WriteFile(file+".new", data, 0o640); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// remove deletes a repository. One that is not there is no error.
func (s *Server) remove(id repoID) error {
	defer s.locks.lock(id.String())()
	grave, err := os.MkdirTemp(s.opts.DataDir, temporaryPattern)
	if err != nil {
		return fmt.Errorf("deleting %s: %w", id, err)
	}
	defer os.RemoveAll(grave)
	err = os.Rename(s.dir(id), filepath.Join(grave, "repo"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting %s: %w", id, err)
	}
	return nil
}

// list returns all repositories in order.
func (s *Server) list() ([]repoID, error) {
	matches, err := filepath.Glob(filepath.Join(s.opts.DataDir, "*", "*.git"))
	if err != nil {
		return nil, err
	}
	var ids []repoID
	for _, m := range matches {
		owner := filepath.Base(filepath.Dir(m))
		if id, err := newRepoID(owner, strings.TrimSuffix(filepath.Base(m), ".git")); err == nil {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b repoID) int { return strings.Compare(a.String(), b.String()) })
	return ids, nil
}

// removeLeftovers deletes what an interrupted creation or deletion left.
func removeLeftovers(dataDir string) error {
	left, err := filepath.Glob(filepath.Join(dataDir, temporaryPattern))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		return fmt.Errorf("cleaning the data folder: %w", err)
	}
	return nil
}

// run runs git in dir and returns what it printed.
func (s *Server) run(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.git, args...)
	cmd.Dir = dir
	cmd.Env = s.gitEnv()
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, trimLine(exit.Stderr))
		}
		return "", fmt.Errorf("running git %s: %w", args[0], err)
	}
	return string(out), nil
}

// gitEnv keeps Git away from the machine's and the user's configuration, and lets it
// read repositories whatever user a volume's files belong to.
func (s *Server) gitEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.opts.DataDir, "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
}

func trimLine(b []byte) string { return strings.TrimSpace(string(b)) }

// keyedLock is one mutex per key. Keys are few (one per repository) and are kept.
type keyedLock struct {
	mu    sync.Mutex
	locks map[string]*sync.Mutex
}

// lock takes the key's mutex and returns what gives it back.
func (k *keyedLock) lock(key string) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*sync.Mutex{}
	}
	m := k.locks[key]
	if m == nil {
		m = &sync.Mutex{}
		k.locks[key] = m
	}
	k.mu.Unlock()
	m.Lock()
	return m.Unlock
}
