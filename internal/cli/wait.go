// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// errTimeout is the cause of a context that ran out of the person's --timeout.
var errTimeout = errors.New("not done in time")

// stageTitle is what a stage is called for people, whatever was made in it.
func stageTitle(typ string) string {
	switch typ {
	case v1alpha1.ConditionSynced:
		return "request accepted"
	case v1alpha1.ConditionRepositoriesReady:
		return "repositories"
	case v1alpha1.ConditionEnvironmentReady:
		return "virtual cluster"
	case v1alpha1.ConditionRegistered:
		return "registered with the GitOps engine"
	case v1alpha1.ConditionDelivered:
		return "delivered"
	case v1alpha1.ConditionComponentsHealthy:
		return "components healthy"
	}
	return typ
}

// stageText is a finished stage with what was made in it.
func stageText(claim *v1alpha1.ApplicationClaim, typ string) string {
	s, title := claim.Status, stageTitle(typ)
	switch {
	case typ == v1alpha1.ConditionEnvironmentReady:
		return title + " " + s.Environment
	case typ == v1alpha1.ConditionDelivered && s.GitOps != nil && s.GitOps.Revision != "":
		return title + " revision " + s.GitOps.Revision[:min(8, len(s.GitOps.Revision))]
	}
	return title
}

func (c *common) waitCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait NAME",
		Short: "Follow an application until it is ready",
		Long: `Follow an application until it is ready, as create --wait does: each stage when it is done, and in
between what is waited for. Stopping this stops nothing else.`,
		Example: `  skerry wait customer-service
  skerry wait customer-service --timeout 30s || skerry trace customer-service`,
		Args: exactly(1, "the name of one application"),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := c.host()
			if err != nil {
				return err
			}
			claim, err := h.readClaim(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := c.waitReady(cmd.Context(), h, claim, timeout); err != nil {
				return err
			}
			typed(claim)
			return c.print(claim, func(io.Writer) error { return nil })
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "until it is given up; the application goes on")
	c.outputFlag(cmd, "name")
	return c.named(cmd, applications)
}

// waitReady follows the claim until it is ready, refused or out of time, and brings it up to date.
func (c *common) waitReady(ctx context.Context, h *host, claim *v1alpha1.ApplicationClaim, timeout time.Duration) error {
	limited, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	p := c.progress(c.people())
	last := claim.DeepCopy()
	err := h.follow(limited, claim.Name, func(now *v1alpha1.ApplicationClaim) (bool, error) {
		if now == nil {
			return true, fmt.Errorf("ApplicationClaim %s/%s was deleted by somebody else", claim.Namespace, claim.Name)
		}
		last = now
		return show(p, now)
	})
	p.close()
	if err != nil {
		return unfinished(err, timeout, last, "skerry wait %s", claim.Name+c.where(claim.Namespace))
	}
	last.DeepCopyInto(claim)
	return c.told(last)
}

// told is the end of a successful wait.
func (c *common) told(claim *v1alpha1.ApplicationClaim) error {
	total := ""
	if s := claim.Status.Stages; len(s) > 0 {
		total = fmt.Sprintf(", %.1f s after it was asked for", totalTime(s).Seconds())
	}
	w, this := c.people(), claim.Name+c.where(claim.Namespace)
	say(w, "%s is ready%s.", claim.Name, total)
	if a := claim.Status.Application; a != nil {
		say(w, "  answers at  %s (inside its virtual cluster)", a.Endpoint)
	}
	say(w, "  change it   %s", cloneCommand(this))
	say(w, "  look inside skerry connect %s -- get all", this)
	say(w, "  check it    skerry verify %s", this)
	return nil
}

// show brings the claim to the progress and reports whether it is ready. A claim that only a person
// can help is an error.
func show(p *progress, claim *v1alpha1.ApplicationClaim) (bool, error) {
	for _, t := range claim.Status.Stages {
		p.done(line{key: t.Name, text: stageText(claim, t.Name), took: t.FinishedAt.Sub(t.StartedAt.Time)})
	}
	ready := status.Get(claim.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case !claim.DeletionTimestamp.IsZero():
		return true, fmt.Errorf("ApplicationClaim %s/%s is being deleted: %s", claim.Namespace, claim.Name, readyMessage(ready))
	case ready == nil || ready.ObservedGeneration < claim.Generation:
		p.wait("waiting for the operator (skerry-system/skerry-operator)")
	case ready.Status == metav1.ConditionTrue:
		return true, nil
	case ready.Reason == v1alpha1.ReasonWaiting:
		return true, fmt.Errorf("%s", ready.Message)
	default:
		p.wait(readyMessage(ready))
	}
	return false, nil
}

func readyMessage(c *metav1.Condition) string {
	if c == nil {
		return "the operator has not seen it yet"
	}
	return cmp.Or(c.Message, c.Reason)
}

// unfinished explains a wait that ended without success. What was asked for goes on in the cluster; again
// is the command that follows it once more, with %s for the application and the flags that lead to it.
func unfinished(err error, timeout time.Duration, last *v1alpha1.ApplicationClaim, again, application string) error {
	message := readyMessage(status.Get(last.Status.Conditions, v1alpha1.ConditionReady))
	again = fmt.Sprintf(again, application)
	switch {
	case errors.Is(err, context.Canceled):
		return &exitError{code: ExitInterrupted, err: fmt.Errorf("no longer waiting: %s\n       it goes on without this command; `%s` follows it again", message, again)}
	case errors.Is(err, errTimeout):
		return &exitError{code: ExitTimeout, err: fmt.Errorf("not done after %s: %s\n       it goes on; `%s` follows it again, `skerry trace %s` shows the way to the problem",
			timeout, message, again, application)}
	}
	return err
}

// totalTime is from the first stage's start to the last one's end.
func totalTime(stages []v1alpha1.StageTiming) time.Duration {
	if len(stages) == 0 {
		return 0
	}
	first, last := stages[0].StartedAt.Time, stages[0].FinishedAt.Time
	for _, s := range stages {
		if s.StartedAt.Time.Before(first) {
			first = s.StartedAt.Time
		}
		if s.FinishedAt.After(last) {
			last = s.FinishedAt.Time
		}
	}
	return last.Sub(first)
}
