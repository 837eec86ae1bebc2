// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
)

// completionTime bounds what a shell waits for after the tab key.
const completionTime = 2 * time.Second

// completer proposes words for the shell, each with a description after a tab. It never fails: without a
// cluster there are no proposals.
type completer func(ctx context.Context, h *host) []string

// named completes a command's one NAME.
func (c *common) named(cmd *cobra.Command, words ...completer) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.complete(cmd.Context(), begun, words...)
	}
	return cmd
}

// complete asks the cluster, quietly and not for long.
func (c *common) complete(ctx context.Context, begun string, words ...completer) ([]string, cobra.ShellCompDirective) {
	quiet := *c
	quiet.program.ErrOut = io.Discard
	h, err := quiet.host()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	seen := map[string]bool{}
	var out []string
	for _, w := range words {
		for _, word := range w(ctx, h) {
			name, _, _ := strings.Cut(word, "\t")
			if strings.HasPrefix(name, begun) && !seen[name] {
				seen[name] = true
				out = append(out, word)
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// applications are the claims of the namespace.
func applications(ctx context.Context, h *host) []string {
	var list v1alpha1.ApplicationClaimList
	if h.client.List(ctx, &list, client.InNamespace(h.namespace)) != nil {
		return nil
	}
	var out []string
	for i := range list.Items {
		out = append(out, list.Items[i].Name+"\tapplication in "+request.Target(list.Items[i].Spec))
	}
	return out
}

// environments are the virtual clusters.
func environments(ctx context.Context, h *host) []string {
	var list v1alpha1.VirtualClusterList
	if h.client.List(ctx, &list) != nil {
		return nil
	}
	var out []string
	for i := range list.Items {
		out = append(out, list.Items[i].Name+"\tvirtual cluster")
	}
	return out
}

func namespaces(ctx context.Context, h *host) []string {
	var list corev1.NamespaceList
	if h.client.List(ctx, &list) != nil {
		return nil
	}
	var out []string
	for i := range list.Items {
		out = append(out, list.Items[i].Name)
	}
	return out
}

// contexts are those of the person's kubeconfig; no cluster is asked.
func (c *common) contexts() []string {
	quiet := *c
	quiet.program.ErrOut, quiet.context = io.Discard, ""
	loader, _ := quiet.loader()
	config, err := loader.RawConfig()
	if err != nil {
		return nil
	}
	var out []string
	for name := range config.Contexts {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// globalCompletions are those of the flags that every command has.
func (c *common) globalCompletions(root *cobra.Command) {
	flagCompletion(root, "namespace", func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return c.complete(cmd.Context(), begun, namespaces)
	})
	flagCompletion(root, "context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return c.contexts(), cobra.ShellCompDirectiveNoFileComp
	})
}

// flagWords completes a flag with fixed words.
func flagWords(cmd *cobra.Command, flag string, words ...string) {
	flagCompletion(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// flagCompletion leaves out the error, which there is only for a flag that the command does not have, or has
// completed already: a flag that is not completed is all that follows.
func flagCompletion(cmd *cobra.Command, flag string, words cobra.CompletionFunc) {
	_ = cmd.RegisterFlagCompletionFunc(flag, words)
}

// asPlugin reports whether the program was called as a plugin of kubectl, and what kubectl wants: to run it
// (kubectl-skerry), or proposals for the shell (kubectl_complete-skerry, see `kubectl plugin --help`).
func asPlugin(name string) (plugin, completes bool) {
	completes = strings.HasPrefix(name, "kubectl_complete-")
	return completes || strings.HasPrefix(name, "kubectl-"), completes
}
