// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/status"
)

// summarize sets Ready from the stages: the first that failed, else the first that is not
// done, gives reason and message.
func summarize(conds *[]metav1.Condition, generation int64, stages []stage, was bool) bool {
	for _, s := range stages {
		if s.typ != v1alpha1.ConditionSynced { // synced has written it, with Crossplane's reasons
			s.condition(conds, generation)
		}
	}
	culprit := slices.IndexFunc(stages, func(s stage) bool { return s.reason == reasonFailed })
	if culprit < 0 {
		culprit = slices.IndexFunc(stages, func(s stage) bool { return !s.done })
	}
	if culprit < 0 {
		note := ""
		for _, s := range stages {
			if s.message != "" {
				note = s.typ + ": " + s.message
				break
			}
		}
		status.Set(conds, generation, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable, note)
		return true
	}
	reason := v1alpha1.ReasonCreating
	if was {
		reason = v1alpha1.ReasonUnavailable
	}
	status.Set(conds, generation, v1alpha1.ConditionReady, metav1.ConditionFalse, reason,
		stages[culprit].typ+": "+stages[culprit].message)
	return false
}

// wasReady reports whether the object was ready at some time.
func wasReady(conds []metav1.Condition) bool {
	c := status.Get(conds, v1alpha1.ConditionReady)
	return c != nil && (c.Status == metav1.ConditionTrue || c.Reason == v1alpha1.ReasonUnavailable)
}

// synced writes the condition Synced.
func synced(conds *[]metav1.Condition, generation int64, err error) {
	if err == nil {
		status.Set(conds, generation, v1alpha1.ConditionSynced, metav1.ConditionTrue, v1alpha1.ReasonReconcileSuccess, "")
		return
	}
	status.Set(conds, generation, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonReconcileError, err.Error())
}

// paused says that nothing is done because somebody asked for that.
func paused(conds *[]metav1.Condition, generation int64) {
	status.Set(conds, generation, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonReconcilePaused,
		"nothing is done while the annotation "+v1alpha1.AnnotationPaused+" is \"true\"")
}

// refused reports whether an error is one that only a person can end, so that trying
// again is of no use before something changes. Ready then has the reason Waiting.
func refused(err error) bool {
	var bad *request.Error
	var taken *takenError
	return errors.As(err, &bad) || errors.As(err, &taken)
}

// takenError says that a name is somebody else's.
type takenError struct{ message string }

func (e *takenError) Error() string { return e.message }

func taken(format string, args ...any) error { return &takenError{fmt.Sprintf(format, args...)} }

// fillApplication writes the part of the status that is not a condition.
func fillApplication(claim *v1alpha1.ApplicationClaim, o observed, opts Options) {
	s := &claim.Status
	s.Environment = request.Target(claim.Spec)
	if o.source != nil && o.source.Status.CloneURL != "" {
		s.Repository = &v1alpha1.RepositorySummary{
			URL: o.source.Status.URL, CloneURL: o.source.Status.CloneURL, Branch: o.source.Status.Branch,
		}
	}
	if o.gitops != nil && o.gitops.Status.CloneURL != "" {
		s.GitOps = &v1alpha1.GitOpsSummary{URL: o.gitops.Status.CloneURL}
		if o.delivery != nil {
			s.GitOps.Revision = o.delivery.Status.Sync.Revision
		}
	}
	s.Application = &v1alpha1.ApplicationSummary{
		Endpoint: fmt.Sprintf("http://%s.%s.svc:%d", claim.Spec.Name, request.ApplicationNamespace, request.ApplicationPort),
	}
	if claim.Spec.ExposeAPI && opts.Domain != "" {
		s.Application.Endpoint = fmt.Sprintf("http://%s.%s", claim.Spec.Name, opts.Domain)
	}
	s.Infrastructure = infrastructure(claim.Spec)
}

// infrastructure lists the services that were asked for, with the addresses that their charts
// give them (docs/flow.md, station 8) and the Secrets that bind them.
func infrastructure(spec v1alpha1.ApplicationClaimSpec) []v1alpha1.InfrastructureSummary {
	var out []v1alpha1.InfrastructureSummary
	add := func(name, typ, host string, port int) {
		out = append(out, v1alpha1.InfrastructureSummary{
			Name: name, Type: typ, Endpoint: net.JoinHostPort(host, strconv.Itoa(port)),
			SecretRef: &corev1.SecretReference{Namespace: request.ApplicationNamespace, Name: name + "-binding"},
		})
	}
	if spec.Database == "postgres" {
		name := request.DatabaseName(spec.Name)
		add(name, "postgresql", name+"-postgresql."+request.ApplicationNamespace, 5432)
	}
	if spec.Cache == "redis" {
		name := request.CacheName(spec.Name)
		add(name, "redis", name+"-redis-master."+request.ApplicationNamespace, 6379)
	}
	for _, s := range spec.Services {
		out = append(out, v1alpha1.InfrastructureSummary{Name: s.Name, Type: s.Type})
	}
	return out
}

// recordStages adds the timing of every stage that is done for the first time, and returns
// those. Repositories and environment start together, when the claim was asked for; delivery starts when
// both the repositories and the registration are done.
func recordStages(timings *[]v1alpha1.StageTiming, conds []metav1.Condition, asked, now time.Time) []v1alpha1.StageTiming {
	finished := func(typ string) (time.Time, bool) {
		i := slices.IndexFunc(*timings, func(t v1alpha1.StageTiming) bool { return t.Name == typ })
		if i < 0 {
			return time.Time{}, false
		}
		return (*timings)[i].FinishedAt.Time, true
	}
	var added []v1alpha1.StageTiming
	for _, s := range stageOrder() {
		if _, known := finished(s.typ); known || !status.IsTrue(conds, s.typ) {
			continue
		}
		start := asked
		for _, before := range s.after {
			if at, known := finished(before); known && at.After(start) {
				start = at
			}
		}
		t := v1alpha1.StageTiming{Name: s.typ, StartedAt: metav1.NewMicroTime(start), FinishedAt: metav1.NewMicroTime(now)}
		*timings = append(*timings, t)
		added = append(added, t)
	}
	return added
}

// stageOrder says which stages must be done before each.
func stageOrder() []struct {
	typ   string
	after []string
} {
	return []struct {
		typ   string
		after []string
	}{
		{v1alpha1.ConditionSynced, nil},
		{v1alpha1.ConditionRepositoriesReady, nil},
		{v1alpha1.ConditionEnvironmentReady, nil},
		{v1alpha1.ConditionRegistered, []string{v1alpha1.ConditionEnvironmentReady}},
		{v1alpha1.ConditionDelivered, []string{v1alpha1.ConditionRepositoriesReady, v1alpha1.ConditionRegistered}},
		{v1alpha1.ConditionComponentsHealthy, []string{v1alpha1.ConditionDelivered}},
	}
}

// askedAt is when the claim was asked for: what the annotation says when that is within the second that
// Kubernetes recorded (or the one before, for a request on its way), else that second.
func askedAt(claim *v1alpha1.ApplicationClaim) time.Time {
	created := claim.CreationTimestamp.Time
	at, err := time.Parse(time.RFC3339Nano, claim.Annotations[request.AnnotationRequestedAt])
	if err != nil || at.Before(created.Add(-time.Second)) || !at.Before(created.Add(time.Second)) {
		return created
	}
	return at
}
