// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/skerry-platform/skerry/internal/local"
	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// newLocalCommand is the local platform; `skerry up`, `skerry down` and `skerry status`
// run its subcommands.
func newLocalCommand() *cobra.Command {
	o := local.Options{}
	cmd := &cobra.Command{
		Use:   "local",
		Short: "A single-node Kubernetes on this machine",
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.Name, "name", local.DefaultName, "name of the instance")
	flags.StringVar(&o.StateDir, "state", "", "folder of all that outlives the instance's processes (default "+local.DefaultStateRoot+"/NAME)")
	flags.StringVar(&o.ImageCache, "image-cache", local.DefaultImageCache, "folder of the images built from packages")
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SilenceUsage = true
		o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return o.Complete()
	}
	cmd.AddCommand(newLocalUpCommand(&o), newLocalDownCommand(&o), newLocalStatusCommand(&o), newLocalSuperviseCommand(&o))
	return cmd
}

func newLocalUpCommand(o *local.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring the local platform up; nothing happens to what is up already",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return local.Up(cmd.Context(), *o) },
	}
	cmd.Flags().StringVar(&o.BinDir, "bin-dir", "", "folder of the programs that go into the images (default: where this program is)")
	cmd.Flags().StringVar(&o.Registry, "registry", local.DefaultRegistry, "registry of the official PostgreSQL and Redis images; \"none\" builds them from packages")
	cmd.Flags().BoolVar(&o.NodeOnly, "node-only", false, "leave the application images (demo, Git, PostgreSQL, Redis) out")
	return cmd
}

func newLocalDownCommand(o *local.Options) *cobra.Command {
	var down local.DownOptions
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Take the local platform down; its data stays unless --purge is given",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return local.Down(cmd.Context(), *o, down) },
	}
	cmd.Flags().BoolVar(&down.Purge, "purge", false, "forget all data too, and the image cache with the last instance")
	cmd.Flags().BoolVar(&down.KeepImageCache, "keep-image-cache", false, "with --purge: keep the image cache")
	return cmd
}

func newLocalStatusCommand(o *local.Options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the processes, the node and the addons",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := local.GetStatus(cmd.Context(), *o)
			if err != nil {
				return err
			}
			return status.Print(cmd.OutOrStdout(), output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json, yaml, or a table when empty")
	return cmd
}

// newLocalSuperviseCommand is started by Up, by the guard and by the supervisor.
func newLocalSuperviseCommand(o *local.Options) *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:    "supervise",
		Short:  "Keep the processes of the local platform running",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := supervise.AwaitStart(); err != nil {
				return err
			}
			err := superviseAs(cmd, *o, role)
			if errors.Is(err, supervise.ErrLocked) {
				klog.InfoS("another one serves this instance already", "role", role)
				return nil
			}
			return err
		},
	}
	cmd.Flags().StringVar(&role, "role", supervise.Supervisor, supervise.Supervisor+" or "+supervise.Guard)
	return cmd
}

func superviseAs(cmd *cobra.Command, o local.Options, role string) error {
	log := klog.Background().WithName(role)
	switch role {
	case supervise.Supervisor:
		return local.Supervise(cmd.Context(), o, log)
	case supervise.Guard:
		return local.Guard(cmd.Context(), o, log)
	default:
		return fmt.Errorf("--role %q: must be %s or %s", role, supervise.Supervisor, supervise.Guard)
	}
}
