// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// writtenRef points at a commit whose tree is exactly what the platform wrote last: the
// base of three-way merges. It lies outside refs/heads and refs/tags, so clones
// do not see it and it survives whatever happens to the branch.
const writtenRef = plumbing.ReferenceName("refs/skerry/written")

const (
	authorName  = "Skerry"
	authorEmail = "skerry@platform.skerry.dev"
)

// objectCache is how much of a clone is kept in memory.
const objectCache = 4 * cache.MiByte

// errOutrun: somebody pushed between our fetch and our push. Start again.
var errOutrun = errors.New("somebody else pushed at the same time")

// worktree is a branch and the platform's base, as far as they were fetched: into a folder of their own,
// because the branch of a source repository may be larger than memory.
type worktree struct {
	repo   *git.Repository
	remote *git.Remote
	url    string
	dir    string
	auth   *http.BasicAuth
	branch plumbing.ReferenceName
	// head is zero in an empty repository.
	head    plumbing.Hash
	tree    *object.Tree
	written *object.Tree
	// writtenHead is zero when the platform wrote nothing yet.
	writtenHead plumbing.Hash
}

// openWorktree asks the remote where its branch and the platform's base are. Nothing is fetched yet. close
// removes what is fetched later.
func openWorktree(ctx context.Context, r Remote) (*worktree, error) {
	w := &worktree{
		url: r.CloneURL, branch: plumbing.NewBranchReferenceName(r.Branch),
		auth: &http.BasicAuth{Username: r.Write.Username, Password: r.Write.Password},
	}
	if err := w.init(); err != nil {
		w.close()
		return nil, fmt.Errorf("preparing a clone of %s: %w", r.CloneURL, err)
	}
	refs, err := w.remote.ListContext(ctx, &git.ListOptions{Auth: w.auth})
	if err != nil && !errors.Is(err, transport.ErrEmptyRemoteRepository) {
		w.close()
		return nil, fmt.Errorf("reading %s: %w", r.CloneURL, err)
	}
	for _, ref := range refs {
		switch ref.Name() {
		case w.branch:
			w.head = ref.Hash()
		case writtenRef:
			w.writtenHead = ref.Hash()
		}
	}
	return w, nil
}

// init makes the folder and an empty clone in it.
func (w *worktree) init() (err error) {
	if w.dir, err = os.MkdirTemp("", "skerry-repository-*"); err != nil {
		return err
	}
	w.repo, err = git.Init(filesystem.NewStorage(osfs.New(w.dir), cache.NewObjectLRU(objectCache)), nil)
	if err != nil {
		return err
	}
	w.remote, err = w.repo.CreateRemote(&config.RemoteConfig{Name: git.DefaultRemoteName, URLs: []string{w.url}})
	return err
}

func (w *worktree) close() {
	if w.dir != "" {
		_ = os.RemoveAll(w.dir) // what is left is removed with the Pod
	}
}

// fetchBranch brings the newest commit of the branch.
func (w *worktree) fetchBranch(ctx context.Context) (err error) {
	if err := w.fetch(ctx, w.branch, w.head); err != nil {
		return err
	}
	w.tree, err = w.treeOf(w.head)
	return err
}

// fetchWritten brings what the platform wrote last.
func (w *worktree) fetchWritten(ctx context.Context) (err error) {
	if err := w.fetch(ctx, writtenRef, w.writtenHead); err != nil {
		return err
	}
	w.written, err = w.treeOf(w.writtenHead)
	return err
}

func (w *worktree) fetch(ctx context.Context, ref plumbing.ReferenceName, hash plumbing.Hash) error {
	if hash.IsZero() {
		return nil
	}
	spec := config.RefSpec("+" + ref + ":" + ref)
	err := w.remote.FetchContext(ctx, &git.FetchOptions{Auth: w.auth, RefSpecs: []config.RefSpec{spec}, Depth: 1, Tags: git.NoTags})
	if err != nil && !errors.Is(err, git.NoErrAlreadyUpToDate) {
		return fmt.Errorf("fetching %s: %w", w.url, err)
	}
	if now, err := w.repo.Reference(ref, true); err != nil || now.Hash() != hash {
		return errors.Join(errOutrun, err) // it moved since it was listed
	}
	return nil
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
