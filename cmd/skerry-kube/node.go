// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// newNodeCommand groups the components of a Kubernetes node, each an upstream program
// with upstream's flags. They are what the local platform's supervisor starts.
func newNodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "node COMPONENT [flags of the component]",
		Short:  "Run one component of the local node (started by the local platform)",
		Hidden: true,
	}
	upstream := []func(*cobra.Command) *cobra.Command{
		func(*cobra.Command) *cobra.Command { return apiserver.NewAPIServerCommand() },
		func(*cobra.Command) *cobra.Command { return controllermanager.NewControllerManagerCommand() },
		func(*cobra.Command) *cobra.Command { return scheduler.NewSchedulerCommand() },
		func(*cobra.Command) *cobra.Command { return proxy.NewProxyCommand() },
		func(parent *cobra.Command) *cobra.Command { return kubelet.NewKubeletCommand(parent.Context()) },
	}
	names := []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"}
	for i, name := range names {
		cmd.AddCommand(newComponentCommand(name, func(node *cobra.Command, args []string) error {
			component := upstream[i](node)
			component.SetArgs(args)
			// A root of its own: upstream sets flag normalization and error
			// printing on the whole tree, which must not reach our commands.
			if code := cli.Run(component); code != 0 {
				return fmt.Errorf("%s ended with code %d", name, code)
			}
			return nil
		}))
	}
	cmd.AddCommand(
		newComponentCommand("etcd", func(_ *cobra.Command, args []string) error {
			etcdmain.Main(append([]string{"etcd"}, args...))
			return nil
		}),
		newComponentCommand("exec", func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("node exec needs the path of a program")
			}
			return syscall.Exec(args[0], args, os.Environ())
		}),
	)
	return cmd
}

// newComponentCommand passes all arguments through unparsed, after the supervisor has
// recorded this process.
func newComponentCommand(name string, run func(*cobra.Command, []string) error) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		DisableFlagParsing: true,
		SilenceUsage:       true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := supervise.AwaitStart(); err != nil {
				return err
			}
			// Upstream's programs either install handlers of their own or end by
			// the signal's default; ours would swallow it.
			signal.Reset(os.Interrupt, syscall.SIGTERM)
			return run(cmd, args)
		},
	}
}
