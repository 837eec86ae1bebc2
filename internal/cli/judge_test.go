// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestJudge(t *testing.T) {
	cases := map[string]struct {
		object string
		state  state
		says   string
	}{
		"a ready Release": {`{apiVersion: helm.m.crossplane.io/v1beta1, kind: Release, status: {conditions: [
			{type: Synced, status: "True"}, {type: Ready, status: "True"}]}}`, stateOK, ""},
		"a Release whose chart is not there": {`{apiVersion: helm.crossplane.io/v1beta1, kind: Release, status: {conditions: [
			{type: Synced, status: "False", reason: ReconcileError, message: "chart postgresql 99.0.0: no such version"},
			{type: Ready, status: "False", reason: Creating}]}}`, stateFailed, "no such version"},
		"a VirtualCluster that starts": {`{apiVersion: platform.skerry.dev/v1alpha1, kind: VirtualCluster, status: {conditions: [
			{type: Ready, status: "False", reason: Creating, message: "waiting for a pool member"}]}}`, stateWorking, "pool member"},
		"a delivery that is healthy": {`{apiVersion: argoproj.io/v1alpha1, kind: Application, status: {
			sync: {status: Synced}, health: {status: Healthy}}}`, stateOK, ""},
		"a delivery of a bad file": {`{apiVersion: argoproj.io/v1alpha1, kind: Application, status: {sync: {status: Unknown},
			conditions: [{type: ComparisonError, message: "application.yaml:3: bad indentation"}]}}`, stateFailed, "application.yaml:3"},
		"a delivery that says what is wrong": {`{apiVersion: argoproj.io/v1alpha1, kind: Application, status: {
			sync: {status: Synced}, health: {status: Degraded, message: "Application shop: replicas"}}}`, stateFailed, "Degraded: Application shop: replicas"},
		"an OAM Application that runs": {`{apiVersion: core.oam.dev/v1beta1, kind: Application, status: {status: running}}`, stateOK, ""},
		"an OAM Application with a bad parameter": {`{apiVersion: core.oam.dev/v1beta1, kind: Application, status: {status: rendering,
			conditions: [{type: Rendered, status: "False", message: "parameter.replicas: is \"many\""}]}}`, stateFailed, "many"},
		"a Pod whose image is not there": {`{apiVersion: v1, kind: Pod, status: {phase: Pending, containerStatuses: [
			{name: shop, state: {waiting: {reason: ImagePullBackOff, message: "not found"}}}]}}`, stateFailed, "ImagePullBackOff: not found"},
		"a Pod that crashes": {`{apiVersion: v1, kind: Pod, status: {phase: Running, containerStatuses: [{name: shop,
			state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 3, reason: Error}}}]}}`, stateFailed, "exit code 3"},
		"a Pod that starts": {`{apiVersion: v1, kind: Pod, status: {phase: Pending, containerStatuses: [
			{name: shop, state: {waiting: {reason: ContainerCreating}}}]}}`, stateWorking, "Pending"},
		"a Pod without room": {`{apiVersion: v1, kind: Pod, status: {phase: Pending, conditions: [
			{type: PodScheduled, status: "False", message: "0/1 nodes: Insufficient cpu"}]}}`, stateFailed, "Insufficient cpu"},
		"a finished Pod": {`{apiVersion: v1, kind: Pod, status: {phase: Succeeded}}`, stateOK, ""},
		"a StatefulSet on its way": {`{apiVersion: apps/v1, kind: StatefulSet, metadata: {generation: 1}, spec: {replicas: 2},
			status: {observedGeneration: 1, replicas: 2, readyReplicas: 1}}`, stateWorking, "1"},
		"an object that goes": {`{apiVersion: v1, kind: Pod, metadata: {deletionTimestamp: "2026-01-01T00:00:00Z"},
			status: {phase: Running}}`, stateWorking, "being deleted"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := judge(object(t, strings.ReplaceAll(c.object, "\t", " ")))
			if got.state != c.state || !strings.Contains(got.message, c.says) {
				t.Errorf("got %s %q, want %s ...%s...", got.state, got.message, c.state, c.says)
			}
		})
	}
	if got := judge(nil); got.state != stateMissing {
		t.Errorf("nothing: %v", got)
	}
}

func TestDeepestProblem(t *testing.T) {
	tree := &node{Kind: "ApplicationClaim", Name: "shop", State: stateFailed, Message: "ComponentsHealthy: ...", Children: []*node{
		{Kind: "Repository", Name: "shop", State: stateOK},
		{Kind: "Application", Name: "shop-oam", State: stateFailed, Message: "Degraded", Children: []*node{
			{Kind: "Component", Name: "shop-db", Where: "virtual", State: stateWorking, Message: "installing", Children: []*node{
				{Kind: "Release", Name: "shop-db-postgresql", Where: "virtual", State: stateWorking, Children: []*node{
					{Kind: "Pod", Namespace: "shop--default", Name: "shop-db-postgresql-0", Where: "host", State: stateFailed,
						Message: "container postgresql: ImagePullBackOff: not found"},
				}},
			}},
		}},
	}}
	p := deepestProblem(tree, "shop")
	if p == nil || p.Name != "shop-db-postgresql-0" || !strings.Contains(p.WayOut, "skerry repo clone-url shop --gitops") {
		t.Errorf("got %+v", p)
	}
	unreachable := nodeOf("host", object(t, `{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {namespace: argocd, name: shop-oam},
  spec: {destination: {name: shop}}, status: {conditions: [
  {type: ComparisonError, message: "cluster shop is not reachable"}, {type: DestinationUnreachable}]}}`))
	if p := deepestProblem(unreachable, "shop"); strings.Contains(p.WayOut, "push") || !strings.Contains(p.WayOut, "when shop answers") {
		t.Errorf("a push does not mend that: %+v", p)
	}
	if p := deepestProblem(&node{State: stateOK, Children: []*node{{State: stateOK}}}, "shop"); p != nil {
		t.Errorf("a problem where there is none: %+v", p)
	}
}
