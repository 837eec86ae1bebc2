// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/cli/tunnel"
)

// point is one thing that must be true of a working environment.
type point struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	Passed bool   `json:"passed"`
	// Evidence is what was seen, one line each.
	Evidence []string `json:"evidence"`
	// Problem says why it did not pass.
	Problem string `json:"problem,omitempty"`
}

// check finds the evidence for a point, or the reason against it.
type check struct {
	title string
	run   func(context.Context) (evidence []string, err error)
}

// verifyOptions is one verification.
type verifyOptions struct {
	*common
	points string
}

func (c *common) verifyCommand() *cobra.Command {
	o := &verifyOptions{common: c}
	cmd := &cobra.Command{
		Use:   "verify NAME",
		Short: "Check that an environment works, with evidence",
		Long: `Check five points, each for real: (1) the Helm releases are in the tenant's own namespace on the
host, their workloads ready; (2) status, Services, Pods and binding Secrets are visible in the virtual
cluster; (3) the application answers with a value that it just wrote to and read back from its stores;
(4) GitOps targets this virtual cluster, and nothing of the application is elsewhere on the host; (5) the
OAM Application was processed in the virtual cluster. Ends with 1 when a point does not hold.`,
		Example: `  skerry verify customer-service
  skerry verify customer-service --points 3 -o json`,
		Args: exactly(1, "the name of one application"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.Run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&o.points, "points", "1,2,3,4,5", "to check")
	c.outputFlag(cmd)
	return c.named(cmd, applications)
}

// Run checks the points and prints them.
func (o *verifyOptions) Run(ctx context.Context, name string) error {
	chosen, err := o.chosen()
	if err != nil {
		return err
	}
	h, err := o.host()
	if err != nil {
		return err
	}
	claim, err := h.readClaim(ctx, name)
	if err != nil {
		return err
	}
	v := &verifier{claim: claim, cluster: request.Target(claim.Spec), host: h.client}
	t, err := tunnel.Open(ctx, h.tunnelHost(), v.cluster)
	if err == nil {
		defer t.Close()
		v.config = t.AdminConfig()
		v.virtual, err = client.New(v.config, client.Options{})
	}
	v.why = err
	points := make([]point, 0, len(chosen))
	failed := 0
	for i, c := range v.checks() {
		if !chosen[i+1] {
			continue
		}
		p := point{Number: i + 1, Title: c.title}
		p.Evidence, err = c.run(ctx)
		if p.Passed = err == nil; !p.Passed {
			p.Problem = err.Error()
			failed++
		}
		points = append(points, p)
	}
	if err := o.print(points, func(w io.Writer) error { return printPoints(w, name+o.where(claim.Namespace), points) }); err != nil {
		return err
	}
	if failed > 0 {
		return &exitError{code: ExitFailed}
	}
	return nil
}

func (o *verifyOptions) chosen() (map[int]bool, error) {
	out := map[int]bool{}
	for part := range strings.SplitSeq(o.points, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > 5 {
			return nil, usage("--points %s: numbers from 1 to 5, separated by commas", o.points)
		}
		out[n] = true
	}
	return out, nil
}

func printPoints(w io.Writer, name string, points []point) error {
	passed := 0
	for _, p := range points {
		sign := "✗"
		if p.Passed {
			sign = "✓"
			passed++
		}
		fmt.Fprintf(w, "%s %d. %s\n", sign, p.Number, p.Title)
		for _, e := range p.Evidence {
			fmt.Fprintf(w, "     %s\n", e)
		}
		if !p.Passed {
			fmt.Fprintf(w, "     PROBLEM: %s\n", p.Problem)
		}
	}
	end := ""
	if passed < len(points) {
		end = fmt.Sprintf("; skerry trace %s shows the way to the problem", name)
	}
	_, err := fmt.Fprintf(w, "%d of %d points hold%s\n", passed, len(points), end)
	return err
}

// verifier checks one application.
type verifier struct {
	claim   *v1alpha1.ApplicationClaim
	cluster string
	host    client.Reader
	// virtual is nil when the virtual cluster cannot be reached; why says why.
	virtual client.Reader
	config  *rest.Config
	why     error
}

func (v *verifier) checks() []check {
	return []check{
		{"the Helm releases are in the host cluster, in the tenant's own namespace, and their workloads are ready", v.releasesOnHost},
		{"status, Services, Pods and binding Secrets are visible in the virtual cluster", v.inside(v.visibleInside)},
		{"the application answers with a value that it wrote to and read back from its stores", v.inside(v.roundtrip)},
		{"GitOps targets this virtual cluster, and nothing of the application is elsewhere on the host", v.gitops},
		{"the OAM Application was processed in the virtual cluster", v.inside(v.processed)},
	}
}

// inside is a check that needs the virtual cluster.
func (v *verifier) inside(run func(context.Context) ([]string, error)) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		if v.why != nil {
			return nil, v.why
		}
		return run(ctx)
	}
}

func (v *verifier) hostNamespace() string {
	return v1alpha1.HostNamespace(v.cluster, request.ApplicationNamespace)
}

// service is one of the application's own services.
type service struct{ component, release string }

// services that the claim asks for.
func (v *verifier) services() []service {
	var out []service
	if v.claim.Spec.Database == "postgres" {
		name := request.DatabaseName(v.claim.Spec.Name)
		out = append(out, service{name, name + "-postgresql"})
	}
	if v.claim.Spec.Cache == "redis" {
		name := request.CacheName(v.claim.Spec.Name)
		out = append(out, service{name, name + "-redis"})
	}
	return out
}
