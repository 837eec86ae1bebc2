// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// deleteOptions is one deletion.
type deleteOptions struct {
	*common
	wait           bool
	ignoreNotFound bool
	timeout        time.Duration
}

func (c *common) deleteCommand() *cobra.Command {
	o := &deleteOptions{common: c}
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete an application and everything that was made for it",
		Long: `Delete an application with its services, their data and its environment, in order. The
repositories stay, unless the claim says deletionPolicy: Delete.

With --wait, what is waited for is shown, one thing after another. Stopping the wait (Ctrl-C) does not
stop the deletion.`,
		Example: "  skerry delete customer-service --wait",
		Args:    exactly(1, "the name of one application"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.Run(cmd.Context(), args[0])
		},
	}
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait until everything is gone, and show what it waits for")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "of --wait")
	cmd.Flags().BoolVar(&o.ignoreNotFound, "ignore-not-found", false, "one that is not there is no error")
	c.outputFlag(cmd, "name")
	return c.named(cmd, applications)
}

// Run deletes the claim and, with --wait, follows it to its end.
func (o *deleteOptions) Run(ctx context.Context, name string) error {
	h, err := o.host()
	if err != nil {
		return err
	}
	claim, err := h.readClaim(ctx, name)
	var missing *noClaimError
	if o.ignoreNotFound && errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return err
	}
	uid := claim.UID
	if err := h.client.Delete(ctx, claim, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting ApplicationClaim %s/%s: %w", claim.Namespace, name, err)
	}
	say(o.people(), "ApplicationClaim %s/%s is being deleted.", claim.Namespace, name)
	if !o.wait {
		say(o.people(), "Follow it with: skerry delete %s%s --wait", name, o.where(claim.Namespace))
	} else if err := o.follow(ctx, h, claim); err != nil {
		return err
	}
	typed(claim)
	return o.print(claim, func(io.Writer) error { return nil })
}

// follow waits until the claim is gone.
func (o *deleteOptions) follow(ctx context.Context, h *host, claim *v1alpha1.ApplicationClaim) error {
	uid, name := claim.UID, claim.Name
	limited, cancel := context.WithTimeoutCause(ctx, o.timeout, errTimeout)
	defer cancel()
	begun := time.Now()
	p := o.progress(o.people())
	last, steps := claim, deletionSteps{progress: p, since: begun}
	err := h.follow(limited, name, func(c *v1alpha1.ApplicationClaim) (bool, error) {
		if c == nil || c.UID != uid {
			steps.next("")
			return true, nil
		}
		last = c
		if ready := status.Get(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Reason == v1alpha1.ReasonDeleting {
			steps.next(ready.Message)
		}
		return false, nil
	})
	p.close()
	if err != nil {
		return unfinished(err, o.timeout, last, "skerry delete %s --wait", name+o.where(claim.Namespace))
	}
	say(o.people(), "%s is gone, %.1f s after it was asked for.", name, time.Since(begun).Seconds())
	return nil
}

// deletionSteps turns what a deletion waits for, one thing after another, into finished steps.
type deletionSteps struct {
	progress *progress
	waiting  string
	since    time.Time
}

// next is what is waited for now; empty at the end.
func (s *deletionSteps) next(message string) {
	if message == s.waiting {
		return
	}
	now := time.Now()
	if s.waiting != "" {
		s.progress.done(line{key: s.waiting, text: strings.TrimPrefix(s.waiting, "waiting for "), took: now.Sub(s.since)})
	}
	s.waiting, s.since = message, now
	s.progress.wait(message)
}
