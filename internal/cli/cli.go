// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the program skerry (stations 1 and 10 of docs/flow.md): it asks for applications,
// follows them, looks through host and virtual cluster at once, and installs the platform. Each
// command maps its flags to an options struct whose Run does the work.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/skerry-platform/skerry/internal/version"
)

// Exit codes. `skerry kubectl` and `skerry connect NAME -- ...` end with kubectl's own.
const (
	// ExitFailed: what was asked for did not happen, or a check did not hold.
	ExitFailed = 1
	// ExitUsage: the request itself cannot be; nothing was changed.
	ExitUsage = 2
	// ExitTimeout: it was not done in time; it may still become so.
	ExitTimeout = 3
	// ExitInterrupted: the person stopped it.
	ExitInterrupted = 130
)

// exitError carries an exit code. A nil error means that everything is said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{code: ExitUsage, err: fmt.Errorf(format, args...)}
}

// Program is what the CLI takes from the process that it runs in.
type Program struct {
	genericiooptions.IOStreams
	// Getenv reads the environment (os.Getenv).
	Getenv func(string) string
	// Home is the person's home directory, empty when there is none.
	Home string
	// Executable is the path of this program, beside which skerry-kube is looked for.
	Executable string
	// Charts installs the platform's chart; nil in a build without the Helm engine.
	Charts Charts
}

// Main runs the command line and returns the exit code. args[0] is the program's name: as kubectl-skerry
// it is a plugin of kubectl and says so in its help, as kubectl_complete-skerry it completes its words.
func (p Program) Main(ctx context.Context, args []string) int {
	root, rest := p.command(), args[1:]
	plugin, completes := asPlugin(filepath.Base(args[0]))
	if plugin {
		root.Use = "kubectl skerry"
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl skerry"}
		root.CompletionOptions.DisableDefaultCmd = true // kubectl's own covers its plugins
	}
	if completes {
		rest = append([]string{cobra.ShellCompRequestCmd}, rest...)
	}
	root.SetArgs(rest)
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.ErrOut)
	return p.exitCode(ctx, root.ExecuteContext(ctx))
}

// exitCode tells the person about the error.
func (p Program) exitCode(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	code := ExitFailed
	var e *exitError
	if errors.As(err, &e) {
		code = e.code
		err = e.err
	}
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		code = ExitInterrupted
	}
	if err != nil {
		fmt.Fprintln(p.ErrOut, "error:", err)
	}
	return code
}

// common are the flags that most commands have.
type common struct {
	program    Program
	kubeconfig string
	context    string
	namespace  string
	output     string
}

func (p Program) command() *cobra.Command {
	c := &common{program: p}
	root := &cobra.Command{
		Use:   "skerry",
		Short: "Give every application its own virtual Kubernetes cluster",
		Long: `Skerry gives every application its own virtual Kubernetes cluster on one shared host
cluster, with its databases attached and Git as the only way in.

Exit codes: 0 done; 1 failed, or a check did not hold; 2 the request cannot be, nothing was
changed; 3 not done in time; 130 interrupted. kubectl commands end with kubectl's own code.

As a plugin of kubectl, with completion:
  ln -s "$(command -v skerry)" /usr/local/bin/kubectl-skerry
  ln -s "$(command -v skerry)" /usr/local/bin/kubectl_complete-skerry
  kubectl skerry get`,
		Example: `  skerry up
  skerry create customer-service --language go --database postgres --cache redis --wait
  skerry verify customer-service
  skerry connect customer-service -- get pods`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version.Version,
	}
	onlySubcommands(root)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see %s --help", err, cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&c.kubeconfig, "kubeconfig", "", "kubeconfig of the host cluster (default: $KUBECONFIG, ~/.kube/config, or the local platform's)")
	flags.StringVar(&c.context, "context", "", "context of the kubeconfig")
	flags.StringVarP(&c.namespace, "namespace", "n", "", "namespace of the claims on the host (default: the context's)")
	root.AddGroup(&cobra.Group{ID: "applications", Title: "Applications:"}, &cobra.Group{ID: "inside", Title: "Looking inside:"},
		&cobra.Group{ID: "platform", Title: "The platform:"})
	root.AddCommand(
		grouped("applications", c.createCommand(), c.waitCommand(), c.getCommand(), c.deleteCommand(), c.timingCommand(), c.repoCommand(), c.gitCredentialCommand())...)
	root.AddCommand(grouped("inside", c.connectCommand(), c.traceCommand(), c.verifyCommand(), c.kubectlCommand())...)
	root.AddCommand(grouped("platform", c.upCommand(), c.downCommand(), c.statusCommand(), c.imagesCommand(), c.installCommand(), c.uninstallCommand())...)
	root.AddCommand(c.versionCommand())
	c.globalCompletions(root)
	return root
}

// onlySubcommands makes a command that does nothing itself show its help, and refuse what is none of its
// subcommands with those that were perhaps meant.
func onlySubcommands(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		meant := "see " + cmd.CommandPath() + " --help"
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			meant = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return usage("there is no command %q; %s", args[0], meant)
	}
}

func grouped(id string, commands ...*cobra.Command) []*cobra.Command {
	for _, c := range commands {
		c.GroupID = id
	}
	return commands
}

// exactly is cobra.ExactArgs with an exit code and words for people.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("%s is needed, and nothing else: %s", what, cmd.UseLine())
		}
		return nil
	}
}

// noArgs is cobra.NoArgs with an exit code and words for people.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%q is not expected: %s", args[0], cmd.UseLine())
	}
	return nil
}

func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage("at most one %s: %s", what, cmd.UseLine())
		}
		return nil
	}
}

func (c *common) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  skerry version -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.print(map[string]string{"version": version.Version}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, "skerry", version.Version)
				return err
			})
		},
	}
	c.outputFlag(cmd)
	return cmd
}
