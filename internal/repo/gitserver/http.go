// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"path/filepath"
	"strings"
	"time"
)

const (
	serviceUpload  = "git-upload-pack"
	serviceReceive = "git-receive-pack"
)

// gitInfoRefs starts a clone, fetch or push. Only the smart protocol is served: files of
// the repository are never sent as files.
func (s *Server) gitInfoRefs(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Query().Get("service") {
	case serviceUpload:
		s.serveGit(w, r, accessRead, "info/refs")
	case serviceReceive:
		if id, _, ok := s.authorize(w, r, accessWrite); ok && s.hasRoom(w, r, id) {
			s.backendServe(w, r, id, "info/refs")
		}
	default:
		http.Error(w, "this server speaks Git's smart protocol only; use Git 1.6.6 or newer", http.StatusForbidden)
	}
}

func (s *Server) gitUploadPack(w http.ResponseWriter, r *http.Request) {
	s.serveGit(w, r, accessRead, serviceUpload)
}

// gitReceivePack takes a push. Pushes to one repository go one after another, so the
// references before and after are exactly what the push changed.
func (s *Server) gitReceivePack(w http.ResponseWriter, r *http.Request) {
	id, meta, ok := s.authorize(w, r, accessWrite)
	if !ok {
		return
	}
	defer s.locks.lock(id.String())()
	if !s.hasRoom(w, r, id) {
		return
	}
	before, err := s.references(r.Context(), id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.backendServe(w, r, id, serviceReceive)
	// The client may have gone as soon as it had its answer; the push stands all the same.
	ctx := context.WithoutCancel(r.Context())
	after, err := s.references(ctx, id)
	if err != nil {
		s.opts.Log.Error(err, "reading references after a push", "repository", id.String())
		return
	}
	if meta.CloneURL == "" {
		meta.CloneURL = s.base(r) + "/" + id.String() + ".git"
	}
	pusher, _, _ := r.BasicAuth()
	for _, change := range changes(before, after) {
		s.opts.Log.Info("received a push", "repository", id.String(), "ref", change.ref, "before", change.before, "after", change.after)
		s.sender.send(s.pushEvent(ctx, id, meta, change, pusher))
	}
}

// hasRoom reports whether a repository may grow, and answers the request itself when it may not.
func (s *Server) hasRoom(w http.ResponseWriter, r *http.Request, id repoID) bool {
	size, err := diskSize(s.dir(id))
	switch {
	case err != nil:
		s.fail(w, r, fmt.Errorf("measuring %s: %w", id, err))
	case size >= s.opts.MaxRepositoryBytes:
		s.opts.Log.Info("refused a push: the repository is full", "repository", id.String(), "bytes", size)
		http.Error(w, fmt.Sprintf("the repository %s is full: it takes %d MiB of the %d MiB that it may have; make its history smaller and ask the platform's administrator to collect the garbage",
			id, size>>20, s.opts.MaxRepositoryBytes>>20), http.StatusInsufficientStorage)
	default:
		return true
	}
	return false
}

// diskSize adds up a folder's files, in bytes. What goes away meanwhile counts as nothing.
func diskSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

func (s *Server) serveGit(w http.ResponseWriter, r *http.Request, need access, endpoint string) {
	if id, _, ok := s.authorize(w, r, need); ok {
		s.backendServe(w, r, id, endpoint)
	}
}

// authorize finds the repository of the path and answers the request itself when the
// client may not do this.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, need access) (repoID, Metadata, bool) {
	id, err := newRepoID(r.PathValue("owner"), strings.TrimSuffix(r.PathValue("repo"), ".git"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return repoID{}, Metadata{}, false
	}
	meta, err := s.metadata(id)
	missing := errors.Is(err, ErrNotFound)
	if err != nil && !missing {
		s.fail(w, r, err)
		return repoID{}, Metadata{}, false
	}
	level, err := s.access(r, id, meta.Visibility)
	_, _, sent := r.BasicAuth()
	switch {
	case err != nil:
		s.fail(w, r, err)
	case level == accessRead && need > accessRead && sent:
		http.Error(w, "these credentials may only read this repository", http.StatusForbidden)
	case level < need:
		refuse(w)
	case missing:
		http.Error(w, "no such repository: "+id.String(), http.StatusNotFound)
	default:
		return id, meta, true
	}
	return repoID{}, Metadata{}, false
}

// backendServe hands the request to git http-backend, which is told the repository's
// folder and the endpoint by us, never by the client's path.
func (s *Server) backendServe(w http.ResponseWriter, r *http.Request, id repoID, endpoint string) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-r.Context().Done():
		return
	}
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(transferLimit)); err != nil {
		s.fail(w, r, fmt.Errorf("limiting the time of a transfer: %w", err))
		return
	}
	user, _, _ := r.BasicAuth()
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	// net/http has taken the chunks apart already; git http-backend then reads to the end.
	r.TransferEncoding = nil
	r.Body = http.MaxBytesReader(w, r.Body, s.opts.MaxPushBytes)
	h := &cgi.Handler{
		Path: s.backend,
		Dir:  s.opts.DataDir,
		Env: append(s.gitEnv(),
			"GIT_PROJECT_ROOT="+s.opts.DataDir,
			"GIT_HTTP_EXPORT_ALL=1",
			"PATH_INFO=/"+id.path()+"/"+endpoint,
			"REMOTE_USER="+user,
			"GIT_PROTOCOL="+r.Header.Get("Git-Protocol"),
		),
		Stderr: &logWriter{log: s.opts.Log.WithValues("repository", id.String())},
	}
	h.ServeHTTP(w, r)
}
