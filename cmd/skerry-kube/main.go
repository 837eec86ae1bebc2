// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Command skerry-kube is Kubernetes itself, linked in: the control planes of virtual
// clusters on a host cluster (pool, etcd), a control plane for tests (standalone), and a whole
// single-node cluster for `skerry up`.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRootCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "skerry-kube:", err)
		os.Exit(1)
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "skerry-kube",
		Short:         "Kubernetes for Skerry: virtual control planes and the local platform",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newStandaloneCommand(),
		newPoolCommand(),
		newEvaluateCommand(),
		newEtcdCommand(),
		newLocalCommand(),
		newNodeCommand(),
		newDNSCommand(),
		newProvisionerCommand(),
	)
	return root
}
