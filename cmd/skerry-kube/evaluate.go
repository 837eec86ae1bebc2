// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/skerry-platform/skerry/internal/oam/fence"
)

// evaluateCommand is how a pool member starts this program again, to evaluate the CUE of
// definitions within limits. /proc/self/exe is this very program, also after an upgrade of the file.
var evaluateCommand = []string{"/proc/self/exe", "evaluate"}

func newEvaluateCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "evaluate",
		Short:  "Evaluate definitions for a pool member, which speaks to it on standard input",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return fence.Serve(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
}
