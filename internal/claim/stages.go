// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"cmp"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/status"
)

// Reasons of a stage's condition beside Crossplane's. A stage that waits for the one before is
// Waiting; one that works is Creating; one that needs a person is Failed.
const reasonFailed = "Failed"

// stage is what one stage has to tell.
type stage struct {
	typ     string
	done    bool
	reason  string
	message string
}

func done(typ string) stage { return stage{typ: typ, done: true, reason: v1alpha1.ReasonAvailable} }

func working(typ, format string, args ...any) stage {
	return stage{typ: typ, reason: v1alpha1.ReasonCreating, message: fmt.Sprintf(format, args...)}
}

func waiting(typ, format string, args ...any) stage {
	return stage{typ: typ, reason: v1alpha1.ReasonWaiting, message: fmt.Sprintf(format, args...)}
}

func failed(typ, format string, args ...any) stage {
	return stage{typ: typ, reason: reasonFailed, message: fmt.Sprintf(format, args...)}
}

// condition writes the stage.
func (s stage) condition(conds *[]metav1.Condition, generation int64) {
	value := metav1.ConditionFalse
	if s.done {
		value = metav1.ConditionTrue
	}
	status.Set(conds, generation, s.typ, value, s.reason, s.message)
}

// applicationStages is pure: what there is -> one stage each, in the order of docs/flow.md.
func applicationStages(claim *v1alpha1.ApplicationClaim, o observed) []stage {
	return []stage{
		repositoriesStage(o),
		environmentStage(claim, o, v1alpha1.ConditionEnvironmentReady),
		environmentStage(claim, o, v1alpha1.ConditionRegistered),
		deliveredStage(claim, o),
		healthyStage(claim, o),
	}
}

func repositoriesStage(o observed) stage {
	const typ = v1alpha1.ConditionRepositoriesReady
	for _, r := range []*v1alpha1.Repository{o.source, o.gitops} {
		if r == nil {
			return working(typ, "waiting for the Repository objects to be made")
		}
		if repositoryReady(r) {
			continue
		}
		problem := deepest(r.Status.Conditions)
		if problem.failed {
			return failed(typ, "Repository %s/%s: %s", r.Namespace, r.Name, problem.message)
		}
		if status.IsTrue(r.Status.Conditions, v1alpha1.ConditionReady) {
			problem.message = "a change is being written"
		}
		return working(typ, "Repository %s/%s: %s", r.Namespace, r.Name, problem.message)
	}
	// A person's edit won against the claim: what runs, runs, but it is not what the claim says.
	for _, r := range []*v1alpha1.Repository{o.source, o.gitops} {
		if c := status.Get(r.Status.Conditions, v1alpha1.ConditionSynced); c != nil && c.Status == metav1.ConditionFalse {
			return stage{typ: typ, done: true, reason: c.Reason, message: fmt.Sprintf("Repository %s/%s: %s", r.Namespace, r.Name, c.Message)}
		}
	}
	return done(typ)
}

// environmentStage repeats one condition of the VClusterEnvironmentClaim.
func environmentStage(claim *v1alpha1.ApplicationClaim, o observed, typ string) stage {
	if o.environment == nil {
		return working(typ, "waiting for VClusterEnvironmentClaim %s/%s to be made", claim.Namespace, request.Target(claim.Spec))
	}
	env := o.environment
	name := fmt.Sprintf("VClusterEnvironmentClaim %s/%s", env.Namespace, env.Name)
	if !env.DeletionTimestamp.IsZero() {
		return failed(typ, "%s is being deleted and waits for this application to be deleted too", name)
	}
	if c := status.Get(env.Status.Conditions, typ); c != nil {
		if c.Status == metav1.ConditionTrue {
			return done(typ)
		}
		return stage{typ: typ, reason: c.Reason, message: c.Message}
	}
	if typ == v1alpha1.ConditionRegistered && !wantsGitOps(env) {
		return failed(typ, "%s has no GitOps: set its spec.capabilities.gitops to true", name)
	}
	if problem := deepest(env.Status.Conditions); problem.failed {
		return failed(typ, "%s: %s", name, problem.message)
	}
	return working(typ, "%s: waiting for the environment stage", name)
}

func deliveredStage(claim *v1alpha1.ApplicationClaim, o observed) stage {
	const typ = v1alpha1.ConditionDelivered
	if o.delivery == nil {
		return waiting(typ, "waiting for the repositories and for the registration of %s", request.Target(claim.Spec))
	}
	d := o.delivery
	name := fmt.Sprintf("Application %s/%s", d.Namespace, d.Name)
	if d.Status.Sync.Status == argov1alpha1.SyncStatusSynced {
		return done(typ)
	}
	var problems []string
	for _, c := range d.Status.Conditions {
		if strings.HasSuffix(c.Type, "Error") {
			problems = append(problems, c.Message)
		}
	}
	if len(problems) > 0 {
		return failed(typ, "%s: %s; %s", name, strings.Join(problems, "; "), deliveryWayOut(claim, o))
	}
	if op := d.Status.OperationState; op != nil && op.Message != "" {
		switch op.Phase {
		case argov1alpha1.OperationFailed, argov1alpha1.OperationError:
			return failed(typ, "%s: %s; %s", name, op.Message, deliveryWayOut(claim, o))
		case argov1alpha1.OperationRunning:
			return working(typ, "%s: %s", name, op.Message)
		}
	}
	return working(typ, "%s: waiting for the first delivery of %s", name, repositoryURL(o))
}

func healthyStage(claim *v1alpha1.ApplicationClaim, o observed) stage {
	const typ = v1alpha1.ConditionComponentsHealthy
	switch {
	case o.delivery == nil || o.delivery.Status.Sync.Revision == "":
		return waiting(typ, "waiting for the delivery")
	case len(o.delivery.Status.Resources) == 0 && o.delivery.Status.Sync.Status == argov1alpha1.SyncStatusSynced:
		return failed(typ, "%s has nothing to run in %s; put an OAM Application there and push", repositoryURL(o), request.GitOpsPath)
	case len(o.delivery.Status.Resources) == 0:
		return waiting(typ, "waiting for the delivery")
	}
	health, message := worstHealth(o.delivery.Status)
	switch health {
	case argov1alpha1.HealthHealthy:
		return done(typ)
	case argov1alpha1.HealthDegraded, argov1alpha1.HealthMissing, argov1alpha1.HealthSuspended:
		return failed(typ, "in virtual cluster %s: %s; `skerry trace %s` shows the way to it",
			request.Target(claim.Spec), message, claim.Name)
	}
	return working(typ, "in virtual cluster %s: %s", request.Target(claim.Spec), message)
}

// worstHealth is the Application's health with the message of the resource that is to blame.
func worstHealth(s argov1alpha1.ApplicationStatus) (argov1alpha1.HealthStatusCode, string) {
	if s.Health.Message != "" || s.Health.Status == argov1alpha1.HealthHealthy {
		return s.Health.Status, cmp.Or(s.Health.Message, string(s.Health.Status))
	}
	for _, r := range s.Resources {
		if r.Health != nil && r.Health.Status == s.Health.Status {
			message := cmp.Or(r.Health.Message, string(r.Health.Status))
			return s.Health.Status, fmt.Sprintf("%s %s/%s: %s", r.Kind, r.Namespace, r.Name, message)
		}
	}
	return s.Health.Status, cmp.Or(string(s.Health.Status), "its health is not known yet")
}

// problem is what keeps an object from being ready.
type problem struct {
	failed  bool
	message string
}

// deepest finds it in an object's Ready and Synced conditions: an error of Synced first.
func deepest(conds []metav1.Condition) problem {
	if c := status.Get(conds, v1alpha1.ConditionSynced); c != nil && c.Status == metav1.ConditionFalse {
		return problem{failed: true, message: cmp.Or(c.Message, c.Reason)}
	}
	if c := status.Get(conds, v1alpha1.ConditionReady); c != nil && c.Status != metav1.ConditionTrue {
		return problem{failed: c.Reason == v1alpha1.ReasonUnavailable, message: cmp.Or(c.Message, c.Reason)}
	}
	return problem{message: "waiting for its first status"}
}
