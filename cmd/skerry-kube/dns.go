// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/skerry-platform/skerry/internal/local/dns"
)

// newDNSCommand serves cluster DNS; it is what kube-system/coredns runs.
func newDNSCommand() *cobra.Command {
	var corefile string
	cmd := &cobra.Command{
		Use:   "dns",
		Short: "Serve cluster DNS (CoreDNS)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			return dns.Run(cmd.Context(), corefile)
		},
	}
	cmd.Flags().StringVar(&corefile, "corefile", "/etc/coredns/Corefile", "path of the Corefile")
	return cmd
}
