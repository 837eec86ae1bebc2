// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/skerry-platform/skerry/internal/local/provisioner"
	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// newProvisionerCommand serves the StorageClass of the local platform.
func newProvisionerCommand() *cobra.Command {
	var kubeconfig, volumes string
	cmd := &cobra.Command{
		Use:    "provisioner",
		Short:  "Provision volumes as folders of the local node",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			if err := supervise.AwaitStart(); err != nil {
				return err
			}
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			return provisioner.Run(cmd.Context(), config, volumes)
		},
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "path of the kubeconfig to use")
	cmd.Flags().StringVar(&volumes, "volumes", "", "folder that holds one folder per volume")
	return cmd
}
