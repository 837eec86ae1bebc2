// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// errTimeout is the cause of a context that ran out of the person's --timeout.
var errTimeout = errors.New("not done in time")

// stageText is what a finished stage is called for people.
func stageText(claim *v1alpha1.ApplicationClaim, typ string) string {
	s := claim.Status
	switch typ {
	case v1alpha1.ConditionSynced:
		return "request accepted"
	case v1alpha1.ConditionRepositoriesReady:
		return "repositories"
	case v1alpha1.ConditionEnvironmentReady:
		return "virtual cluster " + s.Environment
	case v1alpha1.ConditionRegistered:
		return "registered with the GitOps engine"
	case v1alpha1.ConditionDelivered:
		if s.GitOps != nil && s.GitOps.Revision != "" {
			return "delivered revision " + s.GitOps.Revision[:min(8, len(s.GitOps.Revision))]
		}
		return "delivered"
	case v1alpha1.ConditionComponentsHealthy:
		return "components healthy"
	}
	return typ
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

// unfinished explains a wait that ended without success.
func unfinished(err error, timeout time.Duration, last *v1alpha1.ApplicationClaim) error {
	if !errors.Is(err, errTimeout) {
		return err
	}
	message, name := "the claim was not seen", ""
	if last != nil {
		message, name = readyMessage(status.Get(last.Status.Conditions, v1alpha1.ConditionReady)), last.Name
	}
	return &exitError{code: ExitTimeout, err: fmt.Errorf("not done after %s: %s\n       it goes on; `skerry trace %s` shows the way to the problem", timeout, message, name)}
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
