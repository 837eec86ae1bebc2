// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

func (c *common) getCommand() *cobra.Command {
	var all, watching bool
	cmd := &cobra.Command{
		Use:     "get [NAME]",
		Aliases: []string{"list"},
		Short:   "Show applications and what they wait for",
		Long: `Show applications and what they wait for. REASON is Available, Creating, Unavailable (it was ready before),
Waiting (only a person can help) or Deleting; with one name, or with -o wide, the message says more.`,
		Example: `  skerry get
  skerry get -A -o wide
  skerry get customer-service -o yaml
  skerry get customer-service --watch`,
		Args: atMostOne("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := c.host()
			if err != nil {
				return err
			}
			if watching {
				w := &watcher{common: c, host: h, namespace: h.namespace, name: strings.Join(args, ""), namespaces: all}
				if all {
					w.namespace = ""
				}
				return w.run(cmd.Context())
			}
			if len(args) == 1 {
				return c.getOne(cmd.Context(), h, args[0])
			}
			return c.getAll(cmd.Context(), h, all)
		},
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "of every namespace")
	cmd.Flags().BoolVarP(&watching, "watch", "w", false, "go on and show every change, until Ctrl-C")
	c.outputFlag(cmd, "wide", "name")
	return c.named(cmd, applications)
}

func (c *common) getOne(ctx context.Context, h *host, name string) error {
	claim, err := h.readClaim(ctx, name)
	if err != nil {
		return err
	}
	typed(claim)
	return c.print(claim, func(w io.Writer) error {
		if err := table(w, c.rows([]v1alpha1.ApplicationClaim{*claim}, false)); err != nil {
			return err
		}
		if ready := status.Get(claim.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Message != "" {
			fmt.Fprintf(w, "\n%s\n", ready.Message)
		}
		if c.output == "wide" {
			fmt.Fprintln(w)
			return printTiming(w, timingOf(claim))
		}
		return nil
	})
}

func (c *common) getAll(ctx context.Context, h *host, all bool) error {
	list := &v1alpha1.ApplicationClaimList{}
	namespace := h.namespace
	if all {
		namespace = ""
	}
	if err := h.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return explain(err, client.ObjectKey{Namespace: namespace})
	}
	list.APIVersion, list.Kind = v1alpha1.GroupVersion.String(), "ApplicationClaimList"
	for i := range list.Items {
		typed(&list.Items[i])
	}
	return c.print(list, func(w io.Writer) error {
		if len(list.Items) == 0 {
			where := "in namespace " + namespace
			if all {
				where = "in any namespace"
			}
			_, err := fmt.Fprintf(w, "There are no applications %s. Ask for one: skerry create NAME --language go --wait\n", where)
			return err
		}
		return table(w, c.rows(list.Items, all))
	})
}

// typed fills in the kind, which the client drops, and drops the record of who wrote what.
func typed(claim *v1alpha1.ApplicationClaim) {
	claim.APIVersion, claim.Kind = v1alpha1.GroupVersion.String(), "ApplicationClaim"
	claim.ManagedFields = nil
}

func (c *common) rows(claims []v1alpha1.ApplicationClaim, namespaces bool) [][]string {
	head := []string{"NAME", "ENVIRONMENT", "READY", "REASON", "AGE"}
	if c.output == "wide" {
		head = append(head, "REVISION", "MESSAGE")
	}
	if namespaces {
		head = append([]string{"NAMESPACE"}, head...)
	}
	out := [][]string{head}
	now := time.Now()
	for i := range claims {
		claim := &claims[i]
		ready, reason, message := "Unknown", "", ""
		if cond := status.Get(claim.Status.Conditions, v1alpha1.ConditionReady); cond != nil {
			ready, reason, message = string(cond.Status), cond.Reason, cond.Message
		}
		row := []string{claim.Name, cmp.Or(claim.Status.Environment, "-"), ready, cmp.Or(reason, "-"), age(claim.CreationTimestamp.Time, now)}
		if c.output == "wide" {
			revision := "-"
			if g := claim.Status.GitOps; g != nil && g.Revision != "" {
				revision = g.Revision[:min(8, len(g.Revision))]
			}
			row = append(row, revision, cmp.Or(shortened(message, 80), "-"))
		}
		if namespaces {
			row = append([]string{claim.Namespace}, row...)
		}
		out = append(out, row)
	}
	return out
}
