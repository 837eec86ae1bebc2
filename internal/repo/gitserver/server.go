// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitserver is the platform's own Git server (stations 2 and 6 of docs/flow.md):
// real Git over smart HTTP (git http-backend), Basic authentication, an admin API that
// creates and deletes repositories, and a signed push event, in GitHub's format, after
// every push. Repositories are bare and lie under the data folder as OWNER/NAME.git.
//
// It needs one writable folder and nothing else: it runs without root and on a
// read-only root file system.
package gitserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
)

const (
	defaultMaxPush   = 256 << 20
	defaultMaxSize   = 1 << 30
	defaultMaxGit    = 32
	shutdownGrace    = 10 * time.Second
	readHeaderLimit  = 10 * time.Second
	idleLimit        = 2 * time.Minute
	transferLimit    = 10 * time.Minute
	maxAdminBody     = 1 << 20
	defaultBranch    = "main"
	fileUsername     = "username"
	filePassword     = "password"
	temporaryPattern = ".new-*"
)

// Options of the server.
type Options struct {
	// Address to listen on, as net.Listen takes it. Ignored when Listener is set.
	Address string
	// Listener to serve on instead of Address.
	Listener net.Listener
	// DataDir holds the repositories. It must be writable.
	DataDir string
	// CredentialsDir holds the administrator's files username and password, as a Secret
	// is mounted. They are read on each request, so a rotation needs no restart.
	CredentialsDir string
	// WebhookURL receives a push event after each push. Empty: nobody is told.
	WebhookURL string
	// WebhookSecretFile holds the key that push events are signed with.
	WebhookSecretFile string
	// PublicURL is the address that clients use, for the clone URLs of repositories that
	// were created without one. Default: the address of the request.
	PublicURL string
	// MaxPushBytes is the largest pack that a push may send. Default 256 MiB.
	MaxPushBytes int64
	// MaxRepositoryBytes is the size on disk at which a repository takes no more pushes: the volume is
	// everybody's. Default 1 GiB.
	MaxRepositoryBytes int64
	// Log receives one line per push, creation and deletion.
	Log logr.Logger
}

// Server serves the repositories of one data folder. Two servers must not share one.
type Server struct {
	opts    Options
	git     string
	backend string
	locks   keyedLock
	slots   chan struct{}
	sender  *sender
}

// New checks the options and finds Git on this machine.
func New(opts Options) (*Server, error) {
	if opts.MaxPushBytes == 0 {
		opts.MaxPushBytes = defaultMaxPush
	}
	if opts.MaxRepositoryBytes == 0 {
		opts.MaxRepositoryBytes = defaultMaxSize
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("looking for git: %w (install the package git)", err)
	}
	execPath, err := exec.Command(git, "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("asking git for its programs: %w", err)
	}
	backend := filepath.Join(trimLine(execPath), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		return nil, fmt.Errorf("looking for git http-backend: %w (install the package git)", err)
	}
	opts.DataDir, err = filepath.Abs(opts.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolving the data folder: %w", err)
	}
	if err := os.MkdirAll(opts.DataDir, 0o750); err != nil {
		return nil, fmt.Errorf("creating the data folder: %w", err)
	}
	if err := removeLeftovers(opts.DataDir); err != nil {
		return nil, err
	}
	return &Server{
		opts: opts, git: git, backend: backend,
		slots:  make(chan struct{}, defaultMaxGit),
		sender: newSender(opts.WebhookURL, opts.WebhookSecretFile, opts.Log),
	}, nil
}

// Run serves until ctx ends, then lets requests and push events in flight finish, for
// at most ten seconds.
func Run(ctx context.Context, opts Options) error {
	s, err := New(opts)
	if err != nil {
		return err
	}
	l := opts.Listener
	if l == nil {
		if l, err = net.Listen("tcp", opts.Address); err != nil {
			return fmt.Errorf("listening for Git clients: %w", err)
		}
	}
	return s.Serve(ctx, l)
}

// Serve serves on the listener until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: readHeaderLimit, IdleTimeout: idleLimit,
	}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		err := server.Shutdown(grace)
		s.sender.drain(grace)
		done <- err
	}()
	s.opts.Log.Info("serving Git repositories", "address", l.Addr().String(), "data", s.opts.DataDir)
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving Git clients: %w", err)
	}
	if err := <-done; err != nil {
		return fmt.Errorf("stopping the Git server: %w", err)
	}
	return nil
}

// Handler routes Git clients, the admin API, pages and the health endpoint.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /api/v1/repos", s.admin(s.apiList))
	mux.HandleFunc("POST /api/v1/repos", s.admin(s.apiCreate))
	mux.HandleFunc("GET /api/v1/repos/{owner}/{name}", s.admin(s.apiGet))
	mux.HandleFunc("DELETE /api/v1/repos/{owner}/{name}", s.admin(s.apiDelete))
	mux.HandleFunc("GET /{owner}/{repo}/info/refs", s.gitInfoRefs)
	mux.HandleFunc("POST /{owner}/{repo}/git-upload-pack", s.gitUploadPack)
	mux.HandleFunc("POST /{owner}/{repo}/git-receive-pack", s.gitReceivePack)
	mux.HandleFunc("GET /{owner}/{repo}", s.pageRepository)
	mux.HandleFunc("GET /{$}", s.admin(s.pageIndex))
	return mux
}

// serveHealth answers 200 while the data folder can be read.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	if _, err := os.Stat(s.opts.DataDir); err != nil {
		http.Error(w, "the data folder cannot be read", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
