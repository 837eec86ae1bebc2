// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// Each change of a stage is told once; a message that varies with every try is not.
func TestHappenings(t *testing.T) {
	done := condition(v1alpha1.ConditionDelivered, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "")
	working := condition(v1alpha1.ConditionDelivered, metav1.ConditionFalse, v1alpha1.ReasonCreating, "fetching")
	broken := condition(v1alpha1.ConditionDelivered, metav1.ConditionFalse, reasonFailed, "application.yaml:7")
	again := condition(v1alpha1.ConditionDelivered, metav1.ConditionFalse, reasonFailed, "application.yaml:8")
	ready := condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "")
	down := condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnavailable, "Delivered: application.yaml:7")
	type conds = []metav1.Condition
	for name, c := range map[string]struct {
		before, after conds
		want          []string
	}{
		"a stage begins":                 {nil, conds{working}, nil},
		"a stage is done":                {conds{working}, conds{done}, []string{"Normal Delivered what the GitOps repository holds is applied in the virtual cluster"}},
		"nothing changes":                {conds{done, ready}, conds{done, ready}, nil},
		"a stage fails and all with it":  {conds{done, ready}, conds{broken, down}, []string{"Warning StageFailed Delivered: application.yaml:7", "Warning Unavailable Delivered: application.yaml:7"}},
		"it fails in another way":        {conds{broken}, conds{again}, nil},
		"it heals":                       {conds{broken, down}, conds{done, ready}, []string{"Normal Delivered what the GitOps repository holds is applied in the virtual cluster", "Normal Available everything is ready"}},
		"Kubernetes' record of the rest": {nil, conds{condition(v1alpha1.ConditionSynced, metav1.ConditionTrue, v1alpha1.ReasonReconcileSuccess, "")}, nil},
		"somebody pauses it": {nil, conds{condition(v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonReconcilePaused, "nothing is done")},
			[]string{"Normal ReconcilePaused nothing is done"}},
		"it cannot be": {nil, conds{condition(v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonReconcileError, "spec.name: taken"),
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWaiting, "spec.name: taken")}, []string{"Warning ReconcileError spec.name: taken"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, h := range happenings(c.before, c.after) {
				got = append(got, h.typ+" "+h.reason+" "+h.note)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// kubectl describe tells the way of a claim, from the first stage to the removal of the last object.
func TestEventsOfAClaim(t *testing.T) {
	w := newWorld(t, time.Millisecond)
	const name = "told"
	claim := w.ask(w.namespace, name)
	w.repositoryReady(name)
	w.repositoryReady(name + "-gitops")
	w.clusterReady(name)
	w.delivered(name, argov1alpha1.HealthHealthy, "")
	w.ready(w.namespace, name, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	w.delivered(name, argov1alpha1.HealthDegraded, strings.Repeat("ä", 2000))
	w.ready(w.namespace, name, metav1.ConditionFalse, v1alpha1.ReasonUnavailable)
	w.events("ApplicationClaim", name, "Normal RepositoriesReady", "Normal EnvironmentReady", "Normal Registered", "Normal Delivered",
		"Normal ComponentsHealthy", "Normal Available", "Warning StageFailed", "Warning Unavailable")
	w.events("VClusterEnvironmentClaim", name, "Normal EnvironmentReady", "Normal Registered", "Normal Available")
	w.delete(claim)
	gone(w, claim, w.namespace, name)
	w.events("ApplicationClaim", name, "Normal Removing removing Application "+w.argo+"/"+name+"-oam", "Normal Removing removing AppProject "+w.argo+"/"+name,
		"Normal Removing removing VClusterEnvironmentClaim", "Normal Removing removing Repository")
	w.events("VClusterEnvironmentClaim", name, "Normal Removing removing VirtualCluster "+name)
}

// events waits until each wanted one was written for the object, and checks that none was written twice.
func (w *world) events(kind, name string, wants ...string) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		var list corev1.EventList
		if err := w.Client.List(ctx, &list, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		var have []string
		for _, e := range list.Items {
			if e.InvolvedObject.Kind == kind && e.InvolvedObject.Name == name {
				have = append(have, e.Type+" "+e.Reason+" "+e.Message)
			}
		}
		for _, want := range wants {
			if !slices.ContainsFunc(have, func(h string) bool { return strings.HasPrefix(h, want) }) {
				return fmt.Errorf("there is no event %q of %s %s among %q", want, kind, name, have)
			}
		}
		slices.Sort(have)
		if once := slices.Compact(slices.Clone(have)); len(once) != len(have) {
			return fmt.Errorf("an event is told twice: %q", have)
		}
		return nil
	})
}
