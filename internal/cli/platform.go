// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// stopTime is how long the local platform's program may take to end when the person stops it.
const stopTime = 30 * time.Second

// localOptions are the local platform's, handed on to `skerry-kube local`.
type localOptions struct {
	*common
	name  string
	state string
	purge bool
}

func (o *localOptions) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&o.name, "name", defaultInstance, "of the instance")
	cmd.Flags().StringVar(&o.state, "state", "", "folder that holds all that outlives a stop (default /var/lib/skerry/NAME)")
	return cmd
}

func (o *localOptions) stateDir() string { return cmp.Or(o.state, stateOf(o.name)) }

func (c *common) upCommand() *cobra.Command {
	o := &localOptions{common: c}
	install := &installOptions{common: c}
	cmd := o.flags(&cobra.Command{
		Use:   "up",
		Short: "Start a local platform: a real single-node Kubernetes with Skerry on it",
		Long: `Start a local platform: a real single-node Kubernetes with Skerry on it, from the programs beside this one.
What was there before a stop, or before the machine went down, is there again. Root is needed.`,
		Example: `  skerry up
  skerry up --set pool.replicas=2
  export KUBECONFIG=/var/lib/skerry/skerry/kubeconfig`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.run(cmd.Context(), "up"); err != nil {
				return err
			}
			c.kubeconfig, c.context = filepath.Join(o.stateDir(), "kubeconfig"), ""
			install.local = true
			return install.Run(cmd.Context())
		},
	})
	install.flags(cmd)
	return cmd
}

func (c *common) downCommand() *cobra.Command {
	o := &localOptions{common: c}
	cmd := o.flags(&cobra.Command{
		Use:     "down",
		Short:   "Stop the local platform; its data stays",
		Example: "  skerry down\n  skerry down --purge",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.purge {
				return o.run(cmd.Context(), "down", "--purge")
			}
			return o.run(cmd.Context(), "down")
		},
	})
	cmd.Flags().BoolVar(&o.purge, "purge", false, "forget its data too")
	return cmd
}

func (c *common) statusCommand() *cobra.Command {
	o := &localOptions{common: c}
	cmd := o.flags(&cobra.Command{
		Use:     "status",
		Short:   "Show the local platform's processes",
		Example: "  skerry status -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.output != "" {
				return o.run(cmd.Context(), "status", "-o", c.output)
			}
			return o.run(cmd.Context(), "status")
		},
	})
	c.outputFlag(cmd)
	return cmd
}

// run hands over to skerry-kube, which has Kubernetes linked in.
func (o *localOptions) run(ctx context.Context, verb string, further ...string) error {
	kube, err := o.program.sibling("skerry-kube")
	if err != nil {
		return err
	}
	args := append([]string{"local", verb, "--name", o.name, "--state", o.stateDir()}, further...)
	cmd := exec.CommandContext(ctx, kube, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.program.In, o.program.Out, o.program.ErrOut
	// Ctrl-C lets it end in order, not in the middle of a line.
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, stopTime
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &exitError{code: max(exit.ExitCode(), ExitFailed)} // it has said why
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", kube, err)
	}
	return nil
}

// sibling finds a program of the same build: beside this one, else on the PATH.
func (p Program) sibling(name string) (string, error) {
	if p.Executable != "" {
		executable := p.Executable
		if resolved, err := filepath.EvalSymlinks(executable); err == nil {
			executable = resolved
		}
		beside := filepath.Join(filepath.Dir(executable), name)
		if _, err := exec.LookPath(beside); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", usage("the program %s is needed for the local platform and is neither beside this one nor on the PATH; build it with `make build`", name)
	}
	return found, nil
}

// say writes one line for people.
func say(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
