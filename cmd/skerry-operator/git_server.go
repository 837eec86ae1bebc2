// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/skerry-platform/skerry/internal/repo/gitserver"
)

func newGitServerCommand() *cobra.Command {
	var opts gitserver.Options
	var level string
	cmd := &cobra.Command{
		Use:   "git-server",
		Short: "Serve Git repositories over HTTP, for platforms without a Git host of their own",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opts.Log, err = logger(level); err != nil {
				return err
			}
			return gitserver.Run(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&level, "log-level", "info", logLevelHelp)
	flags.StringVar(&opts.Address, "address", ":3000", "address to listen on")
	flags.StringVar(&opts.DataDir, "data-dir", "/data", "folder that holds the repositories")
	flags.StringVar(&opts.CredentialsDir, "credentials-dir", "/credentials", "folder with the administrator's files username and password")
	flags.StringVar(&opts.WebhookURL, "webhook-url", "", "URL that receives a push event after each push")
	flags.StringVar(&opts.WebhookSecretFile, "webhook-secret-file", "", "file with the key that push events are signed with")
	flags.StringVar(&opts.PublicURL, "public-url", "", "address that clients use; default: that of the request")
	return cmd
}
