// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	kubectl "k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/utils/ptr"
)

func (c *common) kubectlCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl ...",
		Short:              "Run kubectl, which is part of this program, on the host cluster",
		Example:            "  skerry kubectl get virtualclusters\n  skerry kubectl describe applicationclaim customer-service",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			flags, err := c.hostFlags(args)
			if err != nil {
				return err
			}
			return c.program.kubectl(cmd.Context(), flags, args)
		},
	}
}

// hostFlags are kubectl's own, with the local platform's kubeconfig where the person has none.
func (c *common) hostFlags(args []string) (*genericclioptions.ConfigFlags, error) {
	flags := genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(300).WithDiscoveryQPS(50).
		WithWrapConfigFn(func(made *rest.Config) *rest.Config { return straight(made, stateRoot) })
	for _, a := range args {
		if a == "--kubeconfig" || strings.HasPrefix(a, "--kubeconfig=") {
			return flags, nil
		}
	}
	if _, explicit := c.loader(); explicit != "" {
		flags.KubeConfig = &explicit
	}
	// Flags before the word kubectl are ours and mean the same.
	if c.context != "" {
		flags.Context = &c.context
	}
	if c.namespace != "" {
		flags.Namespace = &c.namespace
	}
	return flags, nil
}

// virtualFlags reach a cluster by a ready client configuration, whatever kubeconfig the person has.
// uid keeps the cache of what the cluster serves apart from that of another with the same address.
func (p Program) virtualFlags(config *rest.Config, uid string) *genericclioptions.ConfigFlags {
	flags := genericclioptions.NewConfigFlags(true).WithDiscoveryBurst(300).WithDiscoveryQPS(50)
	flags.KubeConfig = ptr.To(os.DevNull)
	flags.APIServer = ptr.To(config.Host)
	flags.Namespace = ptr.To("default")
	if p.Home != "" {
		flags.CacheDir = ptr.To(filepath.Join(p.Home, ".kube", "cache", "skerry", uid))
	}
	return flags.WithWrapConfigFn(func(made *rest.Config) *rest.Config {
		c := rest.CopyConfig(config)
		c.UserAgent, c.Timeout, c.Impersonate = made.UserAgent, made.Timeout, made.Impersonate
		c.WrapTransport = made.WrapTransport
		// kubectl fills these in for each kind that it talks about.
		c.GroupVersion, c.NegotiatedSerializer, c.APIPath = made.GroupVersion, made.NegotiatedSerializer, made.APIPath
		return c
	})
}

// kubectlExit is how kubectl ends when it fails: it would end the process.
type kubectlExit struct {
	message string
	code    int
}

// kubectl runs the linked kubectl with the arguments.
func (p Program) kubectl(ctx context.Context, flags *genericclioptions.ConfigFlags, args []string) (err error) {
	cmdutil.BehaviorOnFatal(func(message string, code int) { panic(kubectlExit{message, code}) })
	defer cmdutil.DefaultBehaviorOnFatal()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case kubectlExit:
			if r.message != "" {
				fmt.Fprintln(p.ErrOut, strings.TrimSuffix(r.message, "\n"))
			}
			err = &exitError{code: r.code}
		default:
			panic(r)
		}
	}()
	cmd := kubectl.NewKubectlCommand(kubectl.KubectlOptions{
		PluginHandler: kubectl.NewDefaultPluginHandler([]string{"kubectl"}), Arguments: append([]string{"kubectl"}, args...),
		ConfigFlags: flags, IOStreams: p.IOStreams,
	})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetIn(p.In)
	cmd.SetOut(p.Out)
	cmd.SetErr(p.ErrOut)
	if err := cmd.ExecuteContext(ctx); err != nil {
		var nested *exitError
		if errors.As(err, &nested) {
			return err
		}
		return &exitError{code: ExitFailed, err: err}
	}
	return nil
}
