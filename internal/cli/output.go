// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"
)

// outputFlag adds -o with json, yaml and the command's further formats.
func (c *common) outputFlag(cmd *cobra.Command, further ...string) {
	formats := append([]string{"json", "yaml"}, further...)
	cmd.Flags().StringVarP(&c.output, "output", "o", "", "print as "+strings.Join(formats, ", "))
	flagWords(cmd, "output", formats...)
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if c.output != "" && !contains(formats, c.output) {
			return usage("-o %s: there are: %s", c.output, strings.Join(formats, ", "))
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// resourceName is what -o name prints, as kubectl does: KIND.GROUP/NAME.
func resourceName(gvk schema.GroupVersionKind, name string) string {
	return strings.ToLower(gvk.GroupKind().String()) + "/" + name
}

// people is where lines for people go: standard error when standard output is for a program.
func (c *common) people() io.Writer {
	if c.output != "" && c.output != "wide" {
		return c.program.ErrOut
	}
	return c.program.Out
}

// print writes the value as -o asks, or as text for people.
func (c *common) print(value any, text func(io.Writer) error) error {
	switch c.output {
	case "json":
		enc := json.NewEncoder(c.program.Out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(value)
	case "name":
		return printNames(c.program.Out, value)
	case "yaml":
		out, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("writing YAML: %w", err)
		}
		_, err = c.program.Out.Write(out)
		return err
	}
	return text(c.program.Out)
}

// printNames writes one line for the object, or for each of a list.
func printNames(w io.Writer, value any) error {
	one := func(o runtime.Object) error {
		m, err := meta.Accessor(o)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(w, resourceName(o.GetObjectKind().GroupVersionKind(), m.GetName()))
		return err
	}
	o, ok := value.(runtime.Object)
	if !ok {
		return fmt.Errorf("-o name: %T is no object", value)
	}
	if meta.IsListType(o) {
		return meta.EachListItem(o, one)
	}
	return one(o)
}

// table writes rows in columns.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// age as kubectl writes it.
func age(t, now time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return duration.HumanDuration(now.Sub(t))
}

// shortened cuts a text to one line of at most n characters.
func shortened(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// Values of --dry-run, as kubectl and helm have them. Without --dry-run the flag is empty.
const (
	dryRunClient = "client"
	dryRunServer = "server"
)

// dryRunFlag adds --dry-run, which alone means client.
func dryRunFlag(cmd *cobra.Command, into *string, what string) {
	f := cmd.Flags().VarPF((*dryRun)(into), "dry-run", "", what+`: "client" without asking the cluster, "server" with it`)
	f.NoOptDefVal = dryRunClient
	flagWords(cmd, "dry-run", dryRunClient, dryRunServer)
}

// dryRun is a pflag.Value.
type dryRun string

func (d *dryRun) String() string { return string(*d) }
func (d *dryRun) Type() string   { return "client|server" }

// Set also takes what kubectl's first --dry-run took.
func (d *dryRun) Set(s string) error {
	switch s {
	case dryRunClient, "true":
		*d = dryRunClient
	case dryRunServer:
		*d = dryRunServer
	case "none", "false":
		*d = ""
	default:
		return fmt.Errorf("there are: none, client, server")
	}
	return nil
}
