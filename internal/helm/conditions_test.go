// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"strings"
	"testing"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	"github.com/skerry-platform/skerry/internal/status"
)

func TestReport(t *testing.T) {
	pkg := &chartPackage{Name: "tiny", Version: "1.0.0", Digest: "sha256:new"}
	starting := workloads{Message: "StatefulSet db: Ready: 0/1"}
	broken := workloads{Message: "Pod db-0: ImagePullBackOff", Broken: true}
	ready := workloads{Ready: true}
	cases := map[string]struct {
		reason   string
		wasReady bool
		o        outcome
		synced   string // "status reason: part of message"
		ready    string
		digest   string
	}{
		"installed, starting": {
			reason: "Synced is about Helm, Ready about the workloads",
			o:      outcome{Chart: pkg, Observed: observation{Last: rev(1, stateDeployed, "new"), Workloads: starting}},
			synced: "True ReconcileSuccess: revision 1", ready: "False Creating: StatefulSet db: Ready: 0/1", digest: "sha256:new",
		},
		"broken": {
			reason: "what needs help is Unavailable at once",
			o:      outcome{Chart: pkg, Observed: observation{Last: rev(1, stateDeployed, "new"), Workloads: broken}},
			synced: "True ReconcileSuccess: ", ready: "False Unavailable: Pod db-0: ImagePullBackOff", digest: "sha256:new",
		},
		"was ready": {
			reason:   "so is what was ready before",
			wasReady: true,
			o:        outcome{Chart: pkg, Observed: observation{Last: rev(1, stateDeployed, "new"), Workloads: starting}},
			synced:   "True ReconcileSuccess: ", ready: "False Unavailable: StatefulSet db", digest: "sha256:new",
		},
		"wrong version, running": {
			reason: "what runs stays Ready while what is wanted cannot be had, and keeps its digest",
			o:      outcome{Problem: "there is no version 9", Observed: observation{Last: rev(1, stateDeployed, "old"), Workloads: ready}},
			synced: "False ReconcileError: there is no version 9", ready: "True Available: ", digest: "sha256:old",
		},
		"nothing installed": {
			reason: "Ready repeats why",
			o:      outcome{Problem: "there is no version 9"},
			synced: "False ReconcileError: there is no version 9", ready: "False Creating: there is no version 9",
		},
		"rolled back": {
			reason: "the failure, what runs now, and what comes next",
			o: outcome{Chart: pkg, Decision: decision{Do: doHold, Why: "attempt 1 failed; the next one is at 12:00:10 UTC"},
				Observed: observation{Last: rev(3, stateDeployed, "old"), Failed: 1, FailedMessage: "Upgrade failed: boom", Workloads: ready}},
			synced: "False ReconcileError: Upgrade failed: boom; rolled back, revision 3 runs; attempt 1 failed; the next", ready: "True Available: ", digest: "sha256:old",
		},
		"first install failed": {
			reason: "a failed revision is not ready, whatever its workloads are",
			o: outcome{Chart: pkg, Decision: decision{Do: doHold, Why: "attempt 1 failed"},
				Observed: observation{Last: &revision{Number: 1, State: stateFailed, Inputs: "new", Description: "hook failed"}, Failed: 1, FailedMessage: "hook failed", Workloads: ready}},
			synced: "False ReconcileError: hook failed; attempt 1 failed", ready: "False Unavailable: hook failed", digest: "sha256:old",
		},
		"note": {
			reason: "what has no effect is told where people look",
			o:      outcome{Chart: pkg, Note: "x has no effect", Observed: observation{Last: rev(1, stateDeployed, "new"), Workloads: ready}},
			synced: "True ReconcileSuccess: x has no effect", ready: "True Available: ", digest: "sha256:new",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rel := &helmv1beta1.Release{}
			rel.Generation = 4
			rel.Status.AtProvider.Digest = "sha256:old"
			if c.wasReady {
				setReady(rel, "True", "Available", "")
			}
			report(rel, c.o)
			for typ, want := range map[string]string{"Synced": c.synced, "Ready": c.ready} {
				head, message, _ := strings.Cut(want, ": ")
				got := status.Get(rel.Status.Conditions, typ)
				if string(got.Status)+" "+got.Reason != head || !strings.Contains(got.Message, message) || got.ObservedGeneration != 4 {
					t.Errorf("%s: %s is %s %s: %q, want %q", c.reason, typ, got.Status, got.Reason, got.Message, want)
				}
			}
			if rel.Status.Synced != strings.HasPrefix(c.synced, "True") || rel.Status.AtProvider.Digest != c.digest {
				t.Errorf("%s: synced %t, digest %s", c.reason, rel.Status.Synced, rel.Status.AtProvider.Digest)
			}
		})
	}
}
