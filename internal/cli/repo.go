// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/repo/gitserver"
)

// gitServerSecret, in the platform's namespace, holds the Git server's administrator.
const gitServerSecret = "skerry-git"

// cloneCommand clones the GitOps repository of an application (its name with the flags that lead to it). The clone
// keeps the helper, so that a push from it finds the credentials too.
func cloneCommand(application string) string {
	return fmt.Sprintf("git clone -c credential.helper='!skerry git-credential' $(skerry repo clone-url %s --gitops)", application)
}

func (c *common) repoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "repo",
		Short:   "Work with an application's repositories",
		Example: "  " + cloneCommand("customer-service"),
	}
	onlySubcommands(cmd)
	var gitops bool
	clone := &cobra.Command{
		Use:     "clone-url NAME",
		Short:   "Print the URL to clone an application's repository from",
		Example: "  " + cloneCommand("customer-service") + "\n  git config --global credential.helper '!skerry git-credential'",
		Args:    exactly(1, "the name of one application"),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := c.host()
			if err != nil {
				return err
			}
			claim, err := h.readClaim(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			address := ""
			if r := claim.Status.Repository; r != nil && !gitops {
				address = r.CloneURL
			}
			if g := claim.Status.GitOps; g != nil && gitops {
				address = g.URL
			}
			if address == "" {
				return fmt.Errorf("%s has no such repository yet; `skerry get %s` says what it waits for", args[0], args[0])
			}
			return c.print(map[string]string{"cloneUrl": address}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, address)
				return err
			})
		},
	}
	clone.Flags().BoolVar(&gitops, "gitops", false, "of the GitOps repository (default: of the source)")
	c.outputFlag(clone)
	cmd.AddCommand(c.named(clone, applications))
	return cmd
}

func (c *common) gitCredentialCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "git-credential OPERATION",
		Short: "Give Git the credentials of the platform's repositories",
		Long: `A credential helper of Git (see gitcredentials(7)): it answers "get" from what the host cluster
holds, and ignores "store" and "erase". Your right to read Secret skerry-system/skerry-git decides.
With credential.useHttpPath Git says which repository it means, and the answer opens that one only.`,
		Example: "  git config credential.helper '!skerry git-credential'",
		Args:    exactly(1, "get, store or erase"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "get" {
				return nil
			}
			return c.gitCredential(cmd.Context())
		},
	}
}

// gitCredential answers one request of Git's credential protocol (git-credential(1), "INPUT/OUTPUT
// FORMAT"). An address that the platform does not know is left to Git's other helpers: no answer, no error.
func (c *common) gitCredential(ctx context.Context) error {
	wanted, err := credentialRequest(c.program.In)
	if err != nil {
		return err
	}
	h, err := c.host()
	if err != nil {
		return err
	}
	var list v1alpha1.RepositoryList
	if err := h.client.List(ctx, &list); err != nil {
		return fmt.Errorf("listing the platform's repositories: %w", err)
	}
	var fitting []v1alpha1.RepositorySpec
	for _, r := range list.Items {
		if credentialFits(wanted, r.Status.CloneURL) {
			fitting = append(fitting, r.Spec)
		}
	}
	if len(fitting) == 0 {
		return nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: gitServerSecret}
	if err := h.client.Get(ctx, key, secret); err != nil {
		return fmt.Errorf("reading the Git server's credentials (Secret %s): %w", key, err)
	}
	username, password := string(secret.Data["username"]), string(secret.Data["password"])
	if len(fitting) == 1 {
		username = gitserver.TokenUser
		password = gitserver.Token(password, gitserver.ScopeWrite, fitting[0].Owner, fitting[0].Name)
	}
	_, err = fmt.Fprintf(c.program.Out, "username=%s\npassword=%s\n", username, password)
	return err
}

// credentialRequest reads KEY=VALUE lines up to an empty one.
func credentialRequest(in io.Reader) (map[string]string, error) {
	out := map[string]string{}
	lines := bufio.NewScanner(in)
	for lines.Scan() && lines.Text() != "" {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			out[key] = value
		}
	}
	return out, lines.Err()
}

// credentialFits compares protocol and host, and the path when Git gives it (credential.useHttpPath).
func credentialFits(wanted map[string]string, address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != wanted["protocol"] || portless(u) != portless(&url.URL{Scheme: u.Scheme, Host: wanted["host"]}) {
		return false
	}
	path := wanted["path"]
	return path == "" || strings.HasPrefix(path, strings.TrimPrefix(u.Path, "/")) ||
		strings.HasPrefix(strings.TrimPrefix(u.Path, "/"), path)
}

// portless is the host without the port that its scheme has anyway.
func portless(u *url.URL) string {
	usual := map[string]string{"http": "80", "https": "443"}
	if u.Port() == usual[u.Scheme] {
		return u.Hostname()
	}
	return u.Host
}
