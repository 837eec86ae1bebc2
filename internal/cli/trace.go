// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// node is one object of the tree that a claim made.
type node struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Where is "host" or "virtual".
	Where string `json:"where"`
	State state  `json:"state"`
	// Message says why State is not ok.
	Message  string  `json:"message,omitempty"`
	silent   string  // what does not answer
	Children []*node `json:"children,omitempty"`
}

// problem is a node that is not ok, and the way out.
type problem struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Where     string `json:"where"`
	State     state  `json:"state"`
	Message   string `json:"message"`
	WayOut    string `json:"wayOut"`
}

// traced is the answer of `skerry trace`.
type traced struct {
	// Problem is the deepest one; null when there is none.
	Problem *problem `json:"problem"`
	Tree    *node    `json:"tree"`
}

func (c *common) traceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace NAME",
		Short: "Show everything that a claim made, across host and virtual cluster, the deepest problem first",
		Long: `Show everything that a claim made, across host and virtual cluster. Before the tree stands the deepest problem
with its way out. ✓ is as it should be, … is under way, ✗ needs somebody.`,
		Example: "  skerry trace customer-service\n  skerry trace customer-service -o json | jq .problem",
		Args:    exactly(1, "the name of one application"),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := c.host()
			if err != nil {
				return err
			}
			claim, err := h.readClaim(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			collector := newCollector(cmd.Context(), h, claim)
			defer collector.close()
			tree := collector.tree()
			answer := traced{Tree: tree, Problem: deepestProblem(tree, claim.Name+c.where(claim.Namespace))}
			return c.print(answer, func(w io.Writer) error { return printTrace(w, answer) })
		},
	}
	c.outputFlag(cmd)
	return c.named(cmd, applications)
}

// deepestProblem (application is its name with the flags that lead to it) finds the node to look at first: a failed one before one that works, the
// deepest of those, the first of equally deep ones.
func deepestProblem(tree *node, application string) *problem {
	var found *node
	depth := -1
	var walk func(n *node, at int)
	walk = func(n *node, at int) {
		if n.State != stateOK && (found == nil || rank(n) > rank(found) || (rank(n) == rank(found) && at > depth)) {
			found, depth = n, at
		}
		for _, child := range n.Children {
			walk(child, at+1)
		}
	}
	walk(tree, 0)
	if found == nil {
		return nil
	}
	return &problem{Kind: found.Kind, Namespace: found.Namespace, Name: found.Name, Where: found.Where, State: found.State,
		Message: found.Message, WayOut: wayOut(found, application)}
}

func rank(n *node) int {
	if n.State == stateFailed {
		return 1
	}
	return 0
}

// wayOut is what a person does about a problem.
func wayOut(n *node, application string) string {
	see := func(args string) string {
		if n.Where == "virtual" {
			return "skerry connect " + application + " -- " + args
		}
		return "skerry kubectl " + args
	}
	object := fmt.Sprintf("%s %s", strings.ToLower(n.Kind), n.Name)
	if n.Namespace != "" {
		object = "-n " + n.Namespace + " " + object
	}
	gitops := "correct oam/applications/application.yaml in the GitOps repository and push: " + cloneCommand(application)
	switch {
	case n.State == stateWorking:
		return "it is under way; look closer with: " + see("describe "+object)
	case n.silent != "":
		return fmt.Sprintf("it goes on by itself when %s answers; is the platform at work? skerry kubectl -n skerry-system get pods", n.silent)
	case n.Kind == "Pod" && strings.Contains(n.Message, "ImagePull"), n.Kind == "Pod" && strings.Contains(n.Message, "InvalidImageName"):
		return "the image cannot be had: " + gitops
	case n.Kind == "Pod" && strings.Contains(n.Message, "ends again and again"):
		return "its log says why: " + see("logs -p "+strings.TrimPrefix(object, "pod "))
	case n.Kind == "Pod" && strings.Contains(n.Message, "not scheduled"):
		return "the host has no room, or the quota is used up: " + see("describe "+object)
	case n.Kind == "Release", n.Kind == "Component", n.Kind == "Application":
		return gitops
	case n.Kind == "ApplicationClaim", n.Kind == "VClusterEnvironmentClaim":
		return "change the claim: skerry kubectl edit " + object
	case n.Kind == "VirtualCluster":
		return "the control planes' log says why: skerry kubectl -n skerry-system logs statefulset/skerry-pool"
	case n.Kind == "Repository":
		return "is the Git server at work? skerry kubectl -n skerry-system get pods"
	}
	return "look closer with: " + see("describe "+object)
}

// printTrace draws the problem and the tree.
func printTrace(w io.Writer, t traced) error {
	if p := t.Problem; p != nil {
		fmt.Fprintf(w, "%s %s%s: %s\n  → %s\n\n", mark(p.State), title(p.Kind, p.Namespace, p.Name, p.Where), "", cmp.Or(p.Message, string(p.State)), p.WayOut)
	} else {
		fmt.Fprint(w, "✓ Everything is as it should be.\n\n")
	}
	printNode(w, t.Tree, "", "")
	return nil
}

func printNode(w io.Writer, n *node, first, rest string) {
	fmt.Fprintf(w, "%s%s %s", first, mark(n.State), title(n.Kind, n.Namespace, n.Name, n.Where))
	if n.Message != "" {
		fmt.Fprintf(w, "  %s", shortened(n.Message, 100))
	}
	fmt.Fprintln(w)
	for i, child := range n.Children {
		if i == len(n.Children)-1 {
			printNode(w, child, rest+"└─ ", rest+"   ")
		} else {
			printNode(w, child, rest+"├─ ", rest+"│  ")
		}
	}
}

func title(kind, namespace, name, where string) string {
	if namespace != "" {
		name = namespace + "/" + name
	}
	if where == "virtual" {
		return fmt.Sprintf("%s %s (virtual)", kind, name)
	}
	return kind + " " + name
}

func mark(s state) string {
	switch s {
	case stateOK:
		return "✓"
	case stateWorking:
		return "…"
	}
	return "✗"
}
