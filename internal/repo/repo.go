// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package repo makes and fills repositories (stations 2 and 5 of docs/flow.md): a
// platform.skerry.dev Repository becomes a Git repository at its provider, marked as
// ours, with the platform's files committed and a person's edits left as they are; for a
// GitOps repository also the Argo CD repository Secret that the engine reads with.
package repo

import (
	"context"
	"errors"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/skerry-platform/skerry/internal/status"
)

// ErrForeign: the repository exists and was not made for this Repository object. It is
// never written to.
var ErrForeign = errors.New("the repository exists and was not made by this platform object")

// Provider is a place that hosts repositories.
type Provider interface {
	// Ensure returns the repository, creating it when it is missing, and makes sure that
	// its pushes are told to the platform. ErrForeign when it belongs to somebody else.
	Ensure(ctx context.Context, r Request) (Remote, error)
	// Delete removes the repository. No error when it is gone; ErrForeign as above.
	Delete(ctx context.Context, r Request) error
}

// Request names a repository and whom it is for.
type Request struct {
	Owner, Name string
	// Visibility is public or private.
	Visibility string
	// ManagedBy, NAMESPACE/NAME of the Repository object, is the mark of what is ours. It
	// is no UID, so that an object that was deleted and made again finds its repository.
	ManagedBy string
}

// Remote is a repository at its provider.
type Remote struct {
	// URL is for a browser, CloneURL for Git.
	URL, CloneURL string
	Branch        string
	// Read opens the repository for the GitOps engine, Write for this stage.
	Read, Write Credentials
}

// Credentials for Git over HTTP. They are never logged and never in a status.
type Credentials struct{ Username, Password string }

// Template renders a source template of the catalog for a repository: path to content.
type Template func(template, repository string) (map[string]string, error)

// Options of the stage.
type Options struct {
	// Providers by the name in spec.provider.
	Providers map[string]Provider
	// ArgoNamespace is where repository Secrets are written. Default argocd.
	ArgoNamespace string
	// Template renders source templates. Without it a Repository that asks for one says
	// so in a condition.
	Template Template
}

// SetupWithManager adds the Repository controller to the manager.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	if opts.ArgoNamespace == "" {
		opts.ArgoNamespace = "argocd"
	}
	own, err := status.Own(mgr)
	if err != nil {
		return err
	}
	return (&reconciler{own: own, client: mgr.GetClient(), opts: opts}).setup(mgr)
}
