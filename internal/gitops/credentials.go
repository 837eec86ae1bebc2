// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport/http"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// repositoryFor finds the credentials of a repository among the Secrets of the Argo CD
// namespace: a repository Secret of the same URL, else the repo-creds Secret with the
// longest URL that is a prefix, else none.
// Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories
func repositoryFor(ctx context.Context, secrets client.Reader, namespace, repoURL string) (repository, error) {
	list := &corev1.SecretList{}
	if err := secrets.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return repository{}, fmt.Errorf("reading repository Secrets: %w", err)
	}
	r := repository{url: repoURL}
	if !strings.HasPrefix(repoURL, "http://") && !strings.HasPrefix(repoURL, "https://") {
		return r, invalidSpec("spec.source.repoURL: %s: the built-in engine reads http and https repositories only", repoURL)
	}
	if best := bestRepositorySecret(list.Items, repoURL); best != nil {
		return withSecret(r, best), nil
	}
	return r, nil
}

func bestRepositorySecret(secrets []corev1.Secret, repoURL string) *corev1.Secret {
	var best *corev1.Secret
	longest, normal := -1, normalURL(repoURL)
	for i := range secrets {
		s := &secrets[i]
		have := normalURL(string(s.Data["url"]))
		switch s.Labels[argov1alpha1.LabelSecretType] {
		case argov1alpha1.SecretTypeRepository:
			if have == normal {
				return s
			}
		case argov1alpha1.SecretTypeRepositoryCredentials:
			if len(have) > longest && covers(have, normal) {
				best, longest = s, len(have)
			}
		}
	}
	return best
}

// covers reports whether prefix is repo or a folder above it; a host alone covers no other
// host that begins with the same letters.
func covers(prefix, repo string) bool {
	rest, ok := strings.CutPrefix(repo, prefix)
	return ok && prefix != "" && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

func withSecret(r repository, s *corev1.Secret) repository {
	r.insecureTLS = string(s.Data["insecure"]) == "true"
	username, password := string(s.Data["username"]), string(s.Data["password"])
	switch token := string(s.Data["bearerToken"]); {
	case token != "":
		r.auth = &http.TokenAuth{Token: token}
	case password != "":
		r.auth = &http.BasicAuth{Username: firstText(username, "git"), Password: password}
	}
	return r
}
