// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/status"
)

func condition(typ string, s metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: typ, Status: s, Reason: reason, Message: message}
}

// finished is an application of which everything is done; each case spoils one thing.
func finished() observed {
	ready := []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "")}
	repository := func(name string) *v1alpha1.Repository {
		return &v1alpha1.Repository{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name},
			Status: v1alpha1.RepositoryStatus{CloneURL: "http://git/" + name + ".git", Conditions: ready}}
	}
	return observed{
		source: repository("customer-service"), gitops: repository("customer-service-gitops"),
		environment: &v1alpha1.VClusterEnvironmentClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "customer-service"},
			Status: v1alpha1.VClusterEnvironmentClaimStatus{Conditions: []metav1.Condition{
				condition(v1alpha1.ConditionEnvironmentReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable, ""),
				condition(v1alpha1.ConditionRegistered, metav1.ConditionTrue, v1alpha1.ReasonAvailable, ""),
			}},
		},
		project: &argov1alpha1.AppProject{ObjectMeta: metav1.ObjectMeta{Namespace: "argocd", Name: "customer-service"}},
		delivery: &argov1alpha1.Application{
			ObjectMeta: metav1.ObjectMeta{Namespace: "argocd", Name: "customer-service-oam"},
			Spec:       argov1alpha1.ApplicationSpec{Project: "customer-service"},
			Status: argov1alpha1.ApplicationStatus{
				Sync:      argov1alpha1.SyncStatus{Status: argov1alpha1.SyncStatusSynced, Revision: "abc"},
				Health:    argov1alpha1.AppHealthStatus{Status: argov1alpha1.HealthHealthy},
				Resources: []argov1alpha1.ResourceStatus{{Group: "core.oam.dev", Kind: "Application", Name: "customer-service"}},
			},
		},
	}
}

func TestReadyNamesTheDeepestProblem(t *testing.T) {
	cases := map[string]struct {
		spoil  func(*observed)
		was    bool
		reason string
		wants  []string
	}{
		"all done": {spoil: func(*observed) {}, reason: v1alpha1.ReasonAvailable},
		"nothing yet": {spoil: func(o *observed) { *o = observed{} }, reason: v1alpha1.ReasonCreating,
			wants: []string{"RepositoriesReady", "waiting for the Repository objects"}},
		"the Git server is down": {spoil: func(o *observed) {
			o.gitops.Status.Conditions = []metav1.Condition{
				condition(v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonReconcileError, "reaching the Git server: refused")}
		}, reason: v1alpha1.ReasonCreating, wants: []string{"Repository team-a/customer-service-gitops", "reaching the Git server"}},
		"a failure is told before what waits": {spoil: func(o *observed) {
			o.source.Status.Conditions = nil
			o.environment.Status.Conditions = []metav1.Condition{
				condition(v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonReconcileError, "spec.name: taken")}
		}, reason: v1alpha1.ReasonCreating, wants: []string{"EnvironmentReady", "VClusterEnvironmentClaim team-a/customer-service: spec.name: taken"}},
		"the control plane starts": {spoil: func(o *observed) {
			o.environment.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionEnvironmentReady, metav1.ConditionFalse,
				v1alpha1.ReasonCreating, "VirtualCluster customer-service: waiting for ControlPlaneReady")}
			o.delivery = nil
		}, reason: v1alpha1.ReasonCreating, wants: []string{"VirtualCluster customer-service: waiting for ControlPlaneReady"}},
		"a manifest that is not YAML": {spoil: func(o *observed) {
			o.delivery.Status.Sync.Status = argov1alpha1.SyncStatusUnknown
			o.delivery.Status.Conditions = []argov1alpha1.ApplicationCondition{
				{Type: argov1alpha1.ConditionComparisonError, Message: "application.yaml:7: did not find expected key"}}
		}, was: true, reason: v1alpha1.ReasonUnavailable, wants: []string{"Delivered", "application.yaml:7", "push"}},
		"a change that is not written yet": {spoil: func(o *observed) { o.gitops.Generation = 2 }, was: true, reason: v1alpha1.ReasonUnavailable,
			wants: []string{"RepositoriesReady", "customer-service-gitops: a change is being written"}},
		"nothing in the repository": {spoil: func(o *observed) { o.delivery.Status.Resources = nil }, was: true, reason: v1alpha1.ReasonUnavailable,
			wants: []string{"customer-service-gitops.git has nothing to run in oam/applications"}},
		"a parameter that does not fit": {spoil: func(o *observed) {
			o.delivery.Status.Health = argov1alpha1.AppHealthStatus{Status: argov1alpha1.HealthDegraded}
			o.delivery.Status.Resources[0].Health = &argov1alpha1.HealthStatus{Status: argov1alpha1.HealthDegraded,
				Message: "parameter.replicas: must be int, is \"many\""}
		}, was: true, reason: v1alpha1.ReasonUnavailable, wants: []string{"ComponentsHealthy", `is "many"`, "skerry trace customer-service"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := finished()
			c.spoil(&o)
			var conds []metav1.Condition
			done := summarize(&conds, 1, applicationStages(customerService(), o), c.was)
			ready := status.Get(conds, v1alpha1.ConditionReady)
			if done != (c.wants == nil) || ready.Reason != c.reason {
				t.Errorf("done %v, reason %s: %s", done, ready.Reason, ready.Message)
			}
			for _, want := range c.wants {
				if !strings.Contains(ready.Message, want) {
					t.Errorf("message %q does not say %q", ready.Message, want)
				}
			}
		})
	}
}

// A person's edit that wins against the claim's does not end the application; the claim says that it is not
// what it asked for.
func TestMergeConflictIsTold(t *testing.T) {
	o := finished()
	o.gitops.Status.Conditions = append([]metav1.Condition{}, append(o.gitops.Status.Conditions,
		condition(v1alpha1.ConditionSynced, metav1.ConditionFalse, "MergeConflict", "The platform and a person changed the same lines"))...)
	var conds []metav1.Condition
	ready := summarize(&conds, 1, applicationStages(customerService(), o), true)
	if c := status.Get(conds, v1alpha1.ConditionReady); !ready || !strings.Contains(c.Message, "customer-service-gitops: The platform and a person") {
		t.Errorf("ready %v: %+v", ready, c)
	}
	if h := happenings(nil, conds); !slices.ContainsFunc(h, func(h happening) bool { return h.typ == "Warning" && h.reason == "MergeConflict" }) {
		t.Errorf("events: %+v", h)
	}
}

// What holds up a delivery has a way out of its own: a push mends only what stands in the repository.
func TestDeliveryWayOut(t *testing.T) {
	const push = "correct it in http://git/customer-service-gitops.git and push"
	type conditions = []argov1alpha1.ApplicationCondition
	for name, c := range map[string]struct {
		conditions conditions
		spoil      func(*observed)
		wants      string
	}{
		"the API server refuses a manifest": {conditions: conditions{{Type: argov1alpha1.ConditionSyncError, Message: "spec.replicas: Invalid value"}}, wants: push},
		"a manifest is not YAML":            {conditions: conditions{{Type: argov1alpha1.ConditionComparisonError, Message: "application.yaml:7"}}, wants: push},
		"a kind that the project refuses":   {conditions: conditions{{Type: argov1alpha1.ConditionInvalidSpecError, Message: "ClusterRole may not be delivered"}}, wants: push},
		"the virtual cluster does not answer": {conditions: conditions{
			{Type: argov1alpha1.ConditionComparisonError, Message: "cluster customer-service is not reachable"}, {Type: argov1alpha1.ConditionDestinationUnreachable}},
			wants: "it goes on by itself when virtual cluster customer-service answers"},
		"Argo CD cannot reach what is not ready": {conditions: conditions{{Type: argov1alpha1.ConditionComparisonError, Message: "failed to load live state"}},
			spoil: func(o *observed) {
				o.environment.Status.Conditions[0].Status = metav1.ConditionFalse
			}, wants: "it goes on by itself when virtual cluster customer-service answers"},
		"the registration is gone": {conditions: conditions{{Type: argov1alpha1.ConditionInvalidSpecError, Message: "there is no cluster customer-service"}},
			spoil: func(o *observed) {
				o.environment.Status.Conditions[1].Status = metav1.ConditionFalse
			}, wants: "is registered again"},
		"the project is gone": {conditions: conditions{{Type: argov1alpha1.ConditionInvalidSpecError, Message: "there is no AppProject"}},
			spoil: func(o *observed) { o.project = nil }, wants: "when AppProject argocd/customer-service is made again"},
		"the Git server does not answer": {conditions: conditions{
			{Type: argov1alpha1.ConditionComparisonError, Message: "repository not reachable"}, {Type: argov1alpha1.ConditionRepositoryUnreachable}},
			wants: "when http://git/customer-service-gitops.git can be read"},
		"the repository is not ready": {conditions: conditions{{Type: argov1alpha1.ConditionComparisonError, Message: "rpc error"}},
			spoil: func(o *observed) { o.gitops.Status.Conditions = nil }, wants: "can be read"},
	} {
		t.Run(name, func(t *testing.T) {
			o := finished()
			o.delivery.Status.Sync.Status = argov1alpha1.SyncStatusUnknown
			o.delivery.Status.Conditions = c.conditions
			if c.spoil != nil {
				c.spoil(&o)
			}
			got := deliveredStage(customerService(), o)
			if !strings.Contains(got.message, c.conditions[0].Message+"; ") || !strings.Contains(got.message, c.wants) {
				t.Errorf("got %q, want %q in it", got.message, c.wants)
			}
			if c.wants != push && strings.Contains(got.message, "and push") {
				t.Errorf("a push does not mend that: %q", got.message)
			}
		})
	}
}

func TestRecordStages(t *testing.T) {
	asked := time.Date(2026, 1, 2, 3, 4, 5, 250_000_000, time.UTC)
	after := func(ms int) time.Time { return asked.Add(time.Duration(ms) * time.Millisecond) }
	var timings []v1alpha1.StageTiming
	var conds []metav1.Condition
	for _, step := range []struct {
		ms    int
		types []string
	}{
		{20, []string{v1alpha1.ConditionSynced}},
		{400, []string{v1alpha1.ConditionRepositoriesReady}},
		{900, []string{v1alpha1.ConditionEnvironmentReady, v1alpha1.ConditionRegistered}},
		{1500, []string{v1alpha1.ConditionDelivered}},
		{9000, []string{v1alpha1.ConditionComponentsHealthy}},
		{9999, nil},
	} {
		for _, typ := range step.types {
			status.Set(&conds, 1, typ, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "")
		}
		recordStages(&timings, conds, asked, after(step.ms))
	}
	type row struct {
		Stage    string
		From, To int64
	}
	var got []row
	for _, s := range timings {
		got = append(got, row{s.Name, s.StartedAt.Sub(asked).Milliseconds(), s.FinishedAt.Sub(asked).Milliseconds()})
	}
	want := []row{
		{"Synced", 0, 20}, {"RepositoriesReady", 0, 400}, {"EnvironmentReady", 0, 900}, {"Registered", 900, 900},
		{"Delivered", 900, 1500}, {"ComponentsHealthy", 1500, 9000},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAskedAt(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		annotation string
		want       time.Duration
	}{
		"none":                        {"", 0},
		"within the second":           {"2026-01-02T03:04:05.75Z", 750 * time.Millisecond},
		"just before":                 {"2026-01-02T03:04:04.9Z", -100 * time.Millisecond},
		"a clock that is far off":     {"2026-01-02T03:09:05Z", 0},
		"an old document, sent again": {"2025-01-02T03:04:05Z", 0},
		"not a time":                  {"yesterday", 0},
	} {
		t.Run(name, func(t *testing.T) {
			claim := customerService()
			claim.CreationTimestamp = metav1.NewTime(created)
			claim.Annotations = map[string]string{request.AnnotationRequestedAt: c.annotation}
			if got := askedAt(claim).Sub(created); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
