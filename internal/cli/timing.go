// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// timing is where the time of a request went.
type timing struct {
	Name string `json:"name"`
	// TotalSeconds from the request to the last stage's end.
	TotalSeconds float64       `json:"totalSeconds"`
	Stages       []stageTiming `json:"stages"`
}

type stageTiming struct {
	// Stage is the condition's type, Title what people call it.
	Stage string `json:"stage"`
	Title string `json:"title"`
	// StartSeconds and EndSeconds are after the request.
	StartSeconds float64 `json:"startSeconds"`
	EndSeconds   float64 `json:"endSeconds"`
	Seconds      float64 `json:"seconds"`
}

func (c *common) timingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "timing NAME",
		Short: "Show where the time went, stage by stage",
		Long: `Show where the time went, stage by stage, until each was done for the first time. Repositories and virtual
cluster are made at the same time.`,
		Example: "  skerry timing customer-service\n  skerry timing customer-service -o json",
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
			t := timingOf(claim)
			return c.print(t, func(w io.Writer) error { return printTiming(w, t) })
		},
	}
	c.outputFlag(cmd)
	return c.named(cmd, applications)
}

// timingOf is pure.
func timingOf(claim *v1alpha1.ApplicationClaim) timing {
	stages := claim.Status.Stages
	t := timing{Name: claim.Name, TotalSeconds: totalTime(stages).Seconds(), Stages: []stageTiming{}}
	if len(stages) == 0 {
		return t
	}
	first := stages[0].StartedAt.Time
	for _, s := range stages {
		if s.StartedAt.Time.Before(first) {
			first = s.StartedAt.Time
		}
	}
	for _, s := range stages {
		t.Stages = append(t.Stages, stageTiming{
			Stage: s.Name, Title: stageTitle(s.Name), StartSeconds: s.StartedAt.Sub(first).Seconds(), EndSeconds: s.FinishedAt.Sub(first).Seconds(),
			Seconds: s.FinishedAt.Sub(s.StartedAt.Time).Seconds(),
		})
	}
	return t
}

// printTiming draws each stage on one time line.
func printTiming(w io.Writer, t timing) error {
	if len(t.Stages) == 0 {
		_, err := fmt.Fprintf(w, "%s has not finished any stage yet.\n", t.Name)
		return err
	}
	const width = 40
	names := len("in all")
	for _, s := range t.Stages {
		names = max(names, utf8.RuneCountInString(s.Title))
	}
	fmt.Fprintf(w, "%-*s %8s %8s\n", names, "stage", "seconds", "done at")
	for _, s := range t.Stages {
		from, to := 0, 0
		if t.TotalSeconds > 0 {
			from, to = int(s.StartSeconds/t.TotalSeconds*width), int(s.EndSeconds/t.TotalSeconds*width)
		}
		to = max(to, min(from+1, width))
		bar := strings.Repeat(" ", from) + strings.Repeat("━", to-from)
		fmt.Fprintf(w, "%-*s %8.2f %8.2f  %s\n", names, s.Title, s.Seconds, s.EndSeconds, bar)
	}
	_, err := fmt.Fprintf(w, "%-*s %8.2f\n", names, "in all", t.TotalSeconds)
	return err
}
