// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

func (w *worktree) point(name plumbing.ReferenceName, to plumbing.Hash) error {
	return w.repo.Storer.SetReference(plumbing.NewHashReference(name, to))
}

// commit stores a commit by the platform. A zero parent makes a first one.
func (w *worktree) commit(tree plumbing.Hash, message string, parent plumbing.Hash) (plumbing.Hash, error) {
	author := object.Signature{Name: authorName, Email: authorEmail, When: time.Now()}
	c := &object.Commit{Author: author, Committer: author, Message: message, TreeHash: tree}
	if !parent.IsZero() {
		c.ParentHashes = []plumbing.Hash{parent}
	}
	return w.store(c)
}

func (w *worktree) store(o interface {
	Encode(plumbing.EncodedObject) error
}) (plumbing.Hash, error) {
	encoded := w.repo.Storer.NewEncodedObject()
	if err := o.Encode(encoded); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encoding a Git object: %w", err)
	}
	return w.repo.Storer.SetEncodedObject(encoded)
}

// writeTree stores base (may be nil) with the changes made: path to content, nil to remove.
func (w *worktree) writeTree(base *object.Tree, changes map[string]*string) (plumbing.Hash, error) {
	entries := map[string]object.TreeEntry{}
	if base != nil {
		for _, e := range base.Entries {
			entries[e.Name] = e
		}
	}
	below := map[string]map[string]*string{}
	for file, content := range changes {
		if dir, rest, nested := strings.Cut(file, "/"); nested {
			if below[dir] == nil {
				below[dir] = map[string]*string{}
			}
			below[dir][rest] = content
			continue
		}
		mode := filemode.Regular
		if entries[file].Mode == filemode.Executable {
			mode = filemode.Executable
		}
		delete(entries, file)
		if content != nil {
			hash, err := w.writeBlob(*content)
			if err != nil {
				return plumbing.ZeroHash, err
			}
			entries[file] = object.TreeEntry{Name: file, Mode: mode, Hash: hash}
		}
	}
	for dir, inner := range below {
		if err := w.writeSubtree(base, entries, dir, inner); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	tree := &object.Tree{}
	for _, e := range entries {
		tree.Entries = append(tree.Entries, e)
	}
	slices.SortFunc(tree.Entries, func(a, b object.TreeEntry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	return w.store(tree)
}

// writeSubtree replaces, or with nothing left in it removes, one folder.
func (w *worktree) writeSubtree(base *object.Tree, entries map[string]object.TreeEntry, dir string, inner map[string]*string) error {
	var old *object.Tree
	if e, ok := entries[dir]; ok && e.Mode == filemode.Dir {
		var err error
		if old, err = base.Tree(dir); err != nil {
			return fmt.Errorf("reading folder %s: %w", dir, err)
		}
	}
	hash, err := w.writeTree(old, inner)
	if err != nil {
		return err
	}
	written, err := w.repo.TreeObject(hash)
	if err != nil {
		return err
	}
	delete(entries, dir)
	if len(written.Entries) > 0 {
		entries[dir] = object.TreeEntry{Name: dir, Mode: filemode.Dir, Hash: hash}
	}
	return nil
}

func (w *worktree) writeBlob(content string) (plumbing.Hash, error) {
	o := w.repo.Storer.NewEncodedObject()
	o.SetType(plumbing.BlobObject)
	writer, err := o.Writer()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if _, err := writer.Write([]byte(content)); err != nil {
		return plumbing.ZeroHash, err
	}
	if err := writer.Close(); err != nil {
		return plumbing.ZeroHash, err
	}
	return w.repo.Storer.SetEncodedObject(o)
}

// sortKey is Git's order of a tree: a folder sorts as if its name ended with a slash.
func sortKey(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

// blobHash is Git's hash of a file's content.
func blobHash(content string) string {
	return plumbing.ComputeHash(plumbing.BlobObject, []byte(content)).String()
}
