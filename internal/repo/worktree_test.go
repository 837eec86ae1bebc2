// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"errors"
	"testing"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Somebody pushes after the platform has asked where the branch is and before it fetches.
func TestABranchThatMovesIsOutrun(t *testing.T) {
	dir := t.TempDir()
	there, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.Main}})
	if err != nil {
		t.Fatal(err)
	}
	files, err := there.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	commit := func() plumbing.Hash {
		t.Helper()
		hash, err := files.Commit("Change", &git.CommitOptions{AllowEmptyCommits: true, Author: &object.Signature{Name: "Ann", Email: "ann@example.org"}})
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	listed := commit()
	w := &worktree{url: dir, branch: plumbing.Main, head: listed}
	if err := w.init(); err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := w.fetchBranch(t.Context()); err != nil {
		t.Fatalf("a branch that stays: %v", err)
	}
	again := &worktree{url: dir, branch: plumbing.Main, head: listed}
	if err := again.init(); err != nil {
		t.Fatal(err)
	}
	defer again.close()
	commit()
	if err := again.fetchBranch(t.Context()); !errors.Is(err, errOutrun) {
		t.Errorf("a branch that moved: %v, want %v", err, errOutrun)
	}
}
