// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// state is an Application in some revision, with conditions ("Render=False reason: message") and
// components ("db: message"; healthy without a message).
func state(revision string, conditions, components []string) *oamv1.Application {
	app := &oamv1.Application{}
	if revision != "" {
		app.Status.LatestRevision = &oamv1.Revision{Name: revision}
	}
	for _, c := range conditions {
		head, message, _ := strings.Cut(c, ": ")
		what, reason, _ := strings.Cut(head, " ")
		typ, is, _ := strings.Cut(what, "=")
		app.Status.Conditions = append(app.Status.Conditions, metav1.Condition{Type: typ, Status: metav1.ConditionStatus(is), Reason: reason, Message: message})
	}
	for _, c := range components {
		name, message, sick := strings.Cut(c, ": ")
		app.Status.Services = append(app.Status.Services, oamv1.ApplicationComponentStatus{Name: name, Healthy: !sick, Message: message})
	}
	return app
}

func TestNews(t *testing.T) {
	nothing := state("", nil, nil)
	running := state("shop-v1", []string{"Applied=True Done"}, []string{"web", "db"})
	deleting := state("shop-v1", []string{"Ready=False Deleting: waiting for the deletion of ConfigMap a"}, nil)
	deleting.Status.Phase = oamv1.PhaseDeleting
	for name, c := range map[string]struct {
		before, after *oamv1.Application
		want          []string
	}{
		"nothing new": {running, running, nil},
		"the first version": {nothing, state("shop-v1", []string{"Applied=False Waiting: component waits"}, []string{"web: waits for db", "db: no Pod yet"}),
			[]string{"Normal Rendered rendered revision shop-v1", `Warning Unhealthy component "web" is not healthy: waits for db`,
				`Warning Unhealthy component "db" is not healthy: no Pod yet`}},
		"applied and healthy": {state("shop-v1", []string{"Applied=False Waiting: component waits"}, []string{"web: waits for db", "db: no Pod yet"}), running,
			[]string{"Normal Applied applied revision shop-v1", `Normal Healthy healthy: component "web", "db"`}},
		"the next version": {running, state("shop-v2", []string{"Applied=True Done"}, []string{"web", "db"}),
			[]string{"Normal Applied rendered and applied revision shop-v2"}},
		"another cause": {state("shop-v1", nil, []string{"db: image not found"}), state("shop-v1", nil, []string{"db: volume full"}),
			[]string{`Warning Unhealthy component "db" is not healthy: volume full`}},
		"refused": {running, state("shop-v1", []string{"Render=False Refused: properties.imge: there is no such parameter", "Applied=Unknown Waiting"}, []string{"web", "db"}),
			[]string{"Warning Refused properties.imge: there is no such parameter"}},
		"refused by the cluster": {running, state("shop-v1", []string{"Applied=False ReconcileError: spec.ports: Required value"}, []string{"web", "db"}),
			[]string{"Warning NotApplied spec.ports: Required value"}},
		"deleting": {running, deleting, []string{"Normal Deleting waiting for the deletion of ConfigMap a"}},
	} {
		var got []string
		for _, e := range news(c.before, c.after) {
			got = append(got, e.kind+" "+e.reason+" "+e.note)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNotesFit(t *testing.T) {
	long := strings.Repeat("x", 5000)
	after := state("v1", []string{"Render=False Refused: " + long}, []string{"db: " + long})
	for _, e := range news(state("", nil, nil), after) {
		if len(e.note) > mostNote {
			t.Errorf("%s has %d characters", e.reason, len(e.note))
		}
	}
}
