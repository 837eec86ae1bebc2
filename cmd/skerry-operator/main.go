// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Command skerry-operator runs on the host cluster: claims, virtual clusters, Releases,
// GitOps, registration and repositories (docs/flow.md), and the local Git server.
package main

import (
	"os"

	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/skerry-platform/skerry/internal/version"
)

func main() {
	root := &cobra.Command{
		Use:           "skerry-operator",
		Short:         "The part of Skerry that runs on the host cluster",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newRunCommand(), newGitServerCommand())
	if err := root.ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		root.PrintErrln("skerry-operator:", err)
		os.Exit(1)
	}
}
