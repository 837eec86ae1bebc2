// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/memory"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// What one revision may hold at most, so that a repository cannot fill the engine's memory.
const (
	mostManifestBytes = 10 << 20
	mostManifestFiles = 5000
)

// fetchedRef is where a fetched revision lies in the clone.
const fetchedRef = plumbing.ReferenceName("refs/heads/skerry")

// repository is a Git repository and how to get in.
type repository struct {
	url         string
	auth        transport.AuthMethod
	insecureTLS bool
}

// revision is what a targetRevision stands for at this moment.
type revision struct {
	commit plumbing.Hash
	// ref is empty when the target is a commit.
	ref plumbing.ReferenceName
}

// resolve asks the repository what the target revision is: a branch, a tag, a commit (40
// digits) or, empty, HEAD.
func (r repository) resolve(ctx context.Context, target string) (revision, error) {
	if plumbing.IsHash(target) {
		return revision{commit: plumbing.NewHash(target)}, nil
	}
	remote := git.NewRemote(memory.NewStorage(), &config.RemoteConfig{Name: git.DefaultRemoteName, URLs: []string{r.url}})
	refs, err := remote.ListContext(ctx, &git.ListOptions{Auth: r.auth, InsecureSkipTLS: r.insecureTLS})
	if err != nil {
		return revision{}, r.explain(err)
	}
	names := []plumbing.ReferenceName{
		plumbing.ReferenceName(target), plumbing.NewBranchReferenceName(target), plumbing.NewTagReferenceName(target),
	}
	if target == "" || target == "HEAD" {
		names = []plumbing.ReferenceName{plumbing.HEAD}
	}
	found := map[plumbing.ReferenceName]*plumbing.Reference{}
	for _, ref := range refs {
		found[ref.Name()] = ref
	}
	for _, name := range names {
		ref := found[name]
		if ref != nil && ref.Type() == plumbing.SymbolicReference {
			ref = found[ref.Target()]
		}
		if ref != nil {
			return revision{commit: ref.Hash(), ref: ref.Name()}, nil
		}
	}
	return revision{}, cannotCompare(nil, "spec.source.targetRevision: %s has no branch, tag or commit %q", r.url, firstText(target, "HEAD"))
}

// explain turns an error of the transport into a message that says what to do. Errors of
// the network carry no credentials.
func (r repository) explain(err error) error {
	const silent = argov1alpha1.ConditionRepositoryUnreachable
	var netErr net.Error
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed), errors.Is(err, transport.ErrInvalidAuthMethod):
		return noAnswer(silent, err, "authentication failed for %s: check username and password in the repository Secret (label %s: %s) for this URL",
			r.url, argov1alpha1.LabelSecretType, argov1alpha1.SecretTypeRepository)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return noAnswer(silent, err, "repository not found: %s (or its Secret lacks credentials)", r.url)
	case errors.Is(err, errTooLarge):
		return cannotCompare(err, "repository %s: one revision has more than %d MiB; keep what is delivered in a repository of its own", r.url, mostFetched>>20)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return cannotCompare(err, "repository %s is empty: push a first commit", r.url)
	case errors.As(err, &netErr), errors.Is(err, context.DeadlineExceeded):
		return noAnswer(silent, err, "repository not reachable: %s: %v", r.url, err)
	}
	return noAnswer(silent, err, "reading repository %s: %v", r.url, err)
}

// fetch brings one revision: its newest commit alone where the server allows it. With a
// cacheDir the objects go to a folder in it, which done removes; else to memory.
func (r repository) fetch(ctx context.Context, rev revision, cacheDir string) (commit *object.Commit, done func(), err error) {
	store, done, err := newStorage(cacheDir)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	repo, err := git.Init(store, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing a clone: %w", err)
	}
	remote, err := repo.CreateRemote(&config.RemoteConfig{Name: git.DefaultRemoteName, URLs: []string{r.url}})
	if err != nil {
		return nil, nil, cannotCompare(err, "spec.source.repoURL: %s: %v", r.url, err)
	}
	want := rev.ref.String()
	if rev.ref == "" {
		want = rev.commit.String()
	}
	opts := &git.FetchOptions{
		Auth: r.auth, InsecureSkipTLS: r.insecureTLS, Tags: git.NoTags, Depth: 1,
		RefSpecs: []config.RefSpec{config.RefSpec("+" + want + ":" + fetchedRef.String())},
	}
	err = remote.FetchContext(ctx, opts)
	if err != nil && rev.ref == "" {
		// Not every server gives out a single commit: fetch all branches and look for it.
		opts.Depth, opts.RefSpecs = 0, []config.RefSpec{"+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"}
		if err = remote.FetchContext(ctx, opts); err == nil {
			err = repo.Storer.SetReference(plumbing.NewHashReference(fetchedRef, rev.commit))
		}
	}
	if err != nil {
		return nil, nil, r.explain(err)
	}
	// A tag may point at a tag object; resolving the revision follows it to the commit.
	hash, err := repo.ResolveRevision(plumbing.Revision(fetchedRef))
	if err == nil {
		commit, err = repo.CommitObject(*hash)
	}
	if err != nil {
		return nil, nil, cannotCompare(err, "spec.source.targetRevision: commit %s is not in %s", rev.commit, r.url)
	}
	return commit, done, nil
}

// readFiles returns the YAML and JSON files of the source's path, in order.
func readFiles(commit *object.Commit, source argov1alpha1.ApplicationSource) ([]sourceFile, error) {
	root, err := commit.Tree()
	if err != nil {
		return nil, fmt.Errorf("reading commit %s: %w", commit.Hash, err)
	}
	base := strings.Trim(path.Clean("/"+source.Path), "/")
	tree := root
	if base != "" {
		if tree, err = root.Tree(base); err != nil {
			return nil, cannotCompare(err, "spec.source.path: there is no folder %q in %s at revision %s", base, source.RepoURL, commit.Hash)
		}
	}
	if err := checkPlain(tree, base); err != nil {
		return nil, err
	}
	directory := argov1alpha1.ApplicationSourceDirectory{}
	if source.Directory != nil {
		directory = *source.Directory
	}
	var files []sourceFile
	var size int64
	err = tree.Files().ForEach(func(f *object.File) error {
		if !selected(f.Name, directory) {
			return nil
		}
		full := path.Join(base, f.Name)
		if f.Mode == filemode.Symlink {
			return cannotCompare(nil, "%s is a symbolic link; links are not followed", full)
		}
		size += f.Size
		if size > mostManifestBytes || len(files) >= mostManifestFiles {
			return cannotCompare(nil, "spec.source.path: %q holds more than %d files or %d MiB of manifests", base, mostManifestFiles, mostManifestBytes>>20)
		}
		content, err := f.Contents()
		if err != nil {
			return fmt.Errorf("reading %s: %w", full, err)
		}
		files = append(files, sourceFile{Path: full, Content: content})
		return nil
	})
	return files, err
}

// checkPlain refuses folders that Argo CD would render with a tool.
func checkPlain(tree *object.Tree, base string) error {
	for _, tool := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization", "Chart.yaml"} {
		if _, err := tree.FindEntry(tool); err == nil {
			return invalidSpec("spec.source.path: %q holds a %s; the built-in engine delivers plain YAML and JSON only (Argo CD as the host's engine renders it)", base, tool)
		}
	}
	return nil
}

// selected decides whether a file, named relative to the source's path, is a manifest.
func selected(name string, d argov1alpha1.ApplicationSourceDirectory) bool {
	if !d.Recurse && strings.Contains(name, "/") {
		return false
	}
	if !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)) {
		return false
	}
	return (d.Include == "" || matches(d.Include, name)) && (d.Exclude == "" || !matches(d.Exclude, name))
}
