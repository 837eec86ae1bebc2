// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"
)

// writtenRef points at a commit whose tree is exactly what the platform wrote last: the
// base of three-way merges. It lies outside refs/heads and refs/tags, so clones
// do not see it and it survives whatever happens to the branch.
const writtenRef = plumbing.ReferenceName("refs/skerry/written")

const (
	authorName  = "Skerry"
	authorEmail = "skerry@platform.skerry.dev"
)

// errOutrun: somebody pushed between our fetch and our push. Start again.
var errOutrun = errors.New("somebody else pushed at the same time")

// worktree is the newest commit of a branch, in memory.
type worktree struct {
	repo   *git.Repository
	auth   *http.BasicAuth
	branch plumbing.ReferenceName
	// head is zero in an empty repository.
	head    plumbing.Hash
	tree    *object.Tree
	written *object.Tree
	// writtenHead is zero when the platform wrote nothing yet.
	writtenHead plumbing.Hash
}

// fetchWorktree reads the newest commit of the remote's branch and the platform's base.
func fetchWorktree(ctx context.Context, r Remote) (*worktree, error) {
	repo, err := git.Init(memory.NewStorage(), nil)
	if err != nil {
		return nil, fmt.Errorf("preparing a clone: %w", err)
	}
	w := &worktree{
		repo: repo, branch: plumbing.NewBranchReferenceName(r.Branch),
		auth: &http.BasicAuth{Username: r.Write.Username, Password: r.Write.Password},
	}
	remote, err := repo.CreateRemote(&config.RemoteConfig{Name: git.DefaultRemoteName, URLs: []string{r.CloneURL}})
	if err != nil {
		return nil, fmt.Errorf("preparing a clone of %s: %w", r.CloneURL, err)
	}
	refs, err := remote.ListContext(ctx, &git.ListOptions{Auth: w.auth})
	if err != nil && !errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return nil, fmt.Errorf("reading %s: %w", r.CloneURL, err)
	}
	var specs []config.RefSpec
	for _, ref := range refs {
		switch ref.Name() {
		case w.branch:
			w.head = ref.Hash()
		case writtenRef:
			w.writtenHead = ref.Hash()
		default:
			continue
		}
		specs = append(specs, config.RefSpec("+"+ref.Name()+":"+ref.Name()))
	}
	if len(specs) == 0 {
		return w, nil
	}
	err = remote.FetchContext(ctx, &git.FetchOptions{Auth: w.auth, RefSpecs: specs, Depth: 1, Tags: git.NoTags})
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", r.CloneURL, err)
	}
	if w.tree, err = w.treeOf(w.head); err == nil {
		w.written, err = w.treeOf(w.writtenHead)
	}
	return w, err
}

func (w *worktree) treeOf(commit plumbing.Hash) (*object.Tree, error) {
	if commit.IsZero() {
		return nil, nil
	}
	c, err := w.repo.CommitObject(commit)
	if err != nil {
		return nil, fmt.Errorf("reading commit %s: %w", commit, err)
	}
	return c.Tree()
}

// writtenFiles returns all files that the platform wrote last.
func (w *worktree) writtenFiles() (map[string]string, error) {
	files := map[string]string{}
	if w.written == nil {
		return files, nil
	}
	err := w.written.Files().ForEach(func(f *object.File) error {
		content, err := f.Contents()
		files[f.Name] = content
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was written last: %w", err)
	}
	return files, nil
}

// currentFiles returns those of the given paths that are on the branch.
func (w *worktree) currentFiles(paths ...string) (map[string]string, error) {
	files := map[string]string{}
	if w.tree == nil {
		return files, nil
	}
	for _, p := range paths {
		f, err := w.tree.File(p)
		if errors.Is(err, object.ErrFileNotFound) {
			continue
		}
		if err == nil {
			files[p], err = f.Contents()
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", p, err)
		}
	}
	return files, nil
}

// addTemplate adds the files of a template to a plan for an empty repository; a file of
// the plan goes before one of the template.
func addTemplate(p *plan, template map[string]string) {
	for name, content := range template {
		if _, ok := p.write[name]; !ok {
			p.write[name] = content
		}
	}
}

// push commits the plan on top of the branch, and moves the platform's base, both or
// neither. It returns the branch's new head.
func (w *worktree) push(ctx context.Context, p plan, message string) (plumbing.Hash, error) {
	changes := map[string]*string{}
	for file, content := range p.write {
		changes[file] = &content
	}
	for _, file := range p.remove {
		changes[file] = nil
	}
	head := w.head
	specs := []config.RefSpec{}
	if len(changes) > 0 {
		tree, err := w.writeTree(w.tree, changes)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if head, err = w.commit(tree, message, w.head); err != nil {
			return plumbing.ZeroHash, err
		}
		if err := w.point(w.branch, head); err != nil {
			return plumbing.ZeroHash, err
		}
		specs = append(specs, config.RefSpec(w.branch+":"+w.branch))
	}
	base := map[string]*string{}
	for file, content := range p.written {
		base[file] = &content
	}
	tree, err := w.writeTree(nil, base)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	baseCommit, err := w.commit(tree, "What the platform wrote last", plumbing.ZeroHash)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if err := w.point(writtenRef, baseCommit); err != nil {
		return plumbing.ZeroHash, err
	}
	specs = append(specs, config.RefSpec("+"+writtenRef+":"+writtenRef))
	err = w.repo.PushContext(ctx, &git.PushOptions{Auth: w.auth, RefSpecs: specs, Atomic: true})
	switch {
	case errors.Is(err, git.ErrNonFastForwardUpdate), errors.Is(err, git.ErrForceNeeded):
		return plumbing.ZeroHash, errOutrun
	case err != nil && !errors.Is(err, git.NoErrAlreadyUpToDate):
		return plumbing.ZeroHash, fmt.Errorf("pushing: %w", err)
	}
	return head, nil
}
