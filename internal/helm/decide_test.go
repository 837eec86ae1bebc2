// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// now is when all decisions of this file are made; the last revision is of 1 minute before
// unless a case says otherwise.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func rev(number int, state, inputs string) *revision {
	return &revision{Number: number, State: state, Inputs: inputs, At: now.Add(-time.Minute)}
}

func revAt(number int, state, inputs string, age time.Duration) *revision {
	r := rev(number, state, inputs)
	r.At = now.Add(-age)
	return r
}

func TestDecide(t *testing.T) {
	ready := workloads{Ready: true}
	want := wanted{Inputs: "new", WaitTimeout: 5 * time.Minute}
	limited := wanted{Inputs: "new", Attempts: 2, WaitTimeout: 5 * time.Minute}
	waiting := wanted{Inputs: "new", Wait: true, WaitTimeout: 5 * time.Minute}
	cases := map[string]struct {
		reason string
		o      observation
		w      wanted
		do     verb
		to     int
		until  time.Time
	}{
		"nothing": {
			reason: "a Release without a Helm release is installed",
			w:      want, do: doInstall,
		},
		"in sync": {
			reason: "what is wanted is deployed: nothing is touched, ready or not",
			o:      observation{Last: rev(1, stateDeployed, "new")},
			w:      want, do: doNothing,
		},
		"changed": {
			reason: "other inputs are an upgrade",
			o:      observation{Last: rev(1, stateDeployed, "old"), Workloads: ready},
			w:      want, do: doUpgrade,
		},
		"adopted": {
			reason: "a release that somebody installed with Helm is upgraded to what the Release says",
			o:      observation{Last: rev(3, stateDeployed, ""), Workloads: ready},
			w:      want, do: doUpgrade,
		},
		"deleted workload": {
			reason: "an object that somebody deleted is made again",
			o:      observation{Last: rev(1, stateDeployed, "new"), Drift: []drift{{what: "StatefulSet db: it was deleted"}}},
			w:      want, do: doRepair,
		},
		"deleted workload, just repaired": {
			reason: "a repair that does not last is paced",
			o: observation{Last: rev(1, stateDeployed, "new"), Drift: []drift{{what: "StatefulSet db: it was deleted"}},
				Repairs: repairs{Count: 2, At: now.Add(-time.Second)}},
			w: want, do: doHold, until: now.Add(19 * time.Second),
		},
		"somebody changed what runs while attempts wait": {
			reason: "the revision that was gone back to is kept up meanwhile",
			o: observation{Last: revAt(3, stateDeployed, "old", 3*time.Second), Good: 1, Failed: 1,
				Drift: []drift{{what: "ConfigMap db: somebody changed data.x"}}},
			w: want, do: doRepair,
		},
		"crash in first install": {
			reason: "a pending revision of our own is the trace of a crash",
			o:      observation{Last: rev(1, statePendingInstall, "new")},
			w:      want, do: doUnlock,
		},
		"crash in upgrade to what is no longer wanted": {
			reason: "the same, whatever it was for",
			o:      observation{Last: rev(2, statePendingUpgrade, "other"), Good: 1},
			w:      want, do: doUnlock,
		},
		"crash in rollback": {
			reason: "the same",
			o:      observation{Last: rev(3, statePendingRollback, "old"), Good: 1, Failed: 1},
			w:      want, do: doUnlock,
		},
		"somebody else's upgrade": {
			reason: "a person's Helm may still be at work",
			o:      observation{Last: rev(2, statePendingUpgrade, "")},
			w:      want, do: doHold, until: now.Add(4 * time.Minute),
		},
		"somebody else's crash": {
			reason: "but not for ever",
			o:      observation{Last: revAt(2, statePendingUpgrade, "", 6*time.Minute)},
			w:      want, do: doUnlock,
		},
		"after the unlock": {
			reason: "an interrupted first install is upgraded over, never uninstalled",
			o:      observation{Last: rev(1, stateFailed, "new")},
			w:      want, do: doUpgrade,
		},
		"first install failed": {
			reason: "it is tried again over what is there, after a pause that is over",
			o:      observation{Last: rev(1, stateFailed, "new"), Failed: 1},
			w:      want, do: doUpgrade,
		},
		"first install failed just now": {
			reason: "but not before the pause is over",
			o:      observation{Last: revAt(1, stateFailed, "new", 2*time.Second), Failed: 1},
			w:      want, do: doHold, until: now.Add(8 * time.Second),
		},
		"first install failed often": {
			reason: "attempts go on while there is nothing that they could harm",
			o:      observation{Last: revAt(9, stateFailed, "new", 6*time.Minute), Failed: 9},
			w:      want, do: doUpgrade,
		},
		"first install failed, limit": {
			reason: "unless rollbackLimit bounds them",
			o:      observation{Last: revAt(2, stateFailed, "new", time.Hour), Failed: 2},
			w:      limited, do: doHold,
		},
		"upgrade failed": {
			reason: "what ran before is restored at once",
			o:      observation{Last: revAt(2, stateFailed, "new", 0), Good: 1, Failed: 1},
			w:      want, do: doRollback, to: 1,
		},
		"rolled back": {
			reason: "the next attempt waits, 10 s after the first failure",
			o:      observation{Last: revAt(3, stateDeployed, "old", 3*time.Second), Good: 1, Failed: 1, Workloads: ready},
			w:      want, do: doHold, until: now.Add(7 * time.Second),
		},
		"rolled back, pause over": {
			reason: "then it is made",
			o:      observation{Last: rev(3, stateDeployed, "old"), Failed: 1, Workloads: ready},
			w:      want, do: doUpgrade,
		},
		"rolled back, attempts used up": {
			reason: "what runs is left alone until something changes",
			o:      observation{Last: revAt(11, stateDeployed, "old", time.Hour), Failed: 5, Workloads: ready},
			w:      want, do: doHold,
		},
		"rolled back, limit used up": {
			reason: "rollbackLimit 1 is two attempts",
			o:      observation{Last: revAt(5, stateDeployed, "old", time.Hour), Failed: 2, Workloads: ready},
			w:      limited, do: doHold,
		},
		"healed": {
			reason: "a corrected Release has no failed attempts, whatever the last revision is",
			o:      observation{Last: rev(2, stateFailed, "broken"), Good: 1},
			w:      want, do: doUpgrade,
		},
		"rollback failed": {
			reason: "the upgrade is tried again while attempts are left",
			o:      observation{Last: rev(3, stateFailed, "old"), Good: 1, Failed: 1},
			w:      want, do: doUpgrade,
		},
		"rollback failed, attempts used up": {
			reason: "then only the restoring is",
			o:      observation{Last: revAt(7, stateFailed, "old", time.Hour), Good: 1, Failed: 5},
			w:      want, do: doRollback, to: 1,
		},
		"repair failed": {
			reason: "going back to older inputs would undo more than the repair",
			o:      observation{Last: rev(5, stateFailed, "new"), Good: 1, Deployed: "new", Failed: 1},
			w:      want, do: doUpgrade,
		},
		"uninstalled": {
			reason: "somebody's helm uninstall is undone",
			o:      observation{Last: rev(1, stateUninstalled, "new")},
			w:      want, do: doInstall,
		},
		"uninstall interrupted": {
			reason: "it is finished first",
			o:      observation{Last: rev(1, stateUninstalling, "new")},
			w:      want, do: doUninstall,
		},
		"wait": {
			reason: "wait: the revision has until its deadline",
			o:      observation{Last: rev(2, stateDeployed, "new"), Good: 1},
			w:      waiting, do: doNothing, until: now.Add(4 * time.Minute),
		},
		"wait, late": {
			reason: "then what ran before is restored",
			o:      observation{Last: revAt(2, stateDeployed, "new", 6*time.Minute), Good: 1},
			w:      waiting, do: doRollback, to: 1,
		},
		"wait, late, first": {
			reason: "a first install stays: it is never uninstalled",
			o:      observation{Last: revAt(1, stateDeployed, "new", 6*time.Minute)},
			w:      waiting, do: doNothing,
		},
		"wait, ready": {
			reason: "readiness ends the waiting",
			o:      observation{Last: revAt(2, stateDeployed, "new", 6*time.Minute), Good: 1, Workloads: ready},
			w:      waiting, do: doNothing,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := decide(c.o, c.w, now)
			got := decision{Do: d.Do, To: d.To, Until: d.Until}
			if diff := cmp.Diff(decision{Do: c.do, To: c.to, Until: c.until}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if d.Do != doNothing && d.Why == "" {
				t.Error("an action needs a reason that a person can read")
			}
		})
	}
}

func TestPause(t *testing.T) {
	for failed, want := range map[int]time.Duration{
		1: 10 * time.Second, 2: 20 * time.Second, 4: 80 * time.Second, 5: 160 * time.Second, 6: 5 * time.Minute, 60: 5 * time.Minute,
	} {
		if got := pause(failed); got != want {
			t.Errorf("pause(%d) = %s, want %s", failed, got, want)
		}
	}
}

// FuzzDecide holds two promises over all observations: what is wanted and deployed is left
// alone, and an action is always possible.
func FuzzDecide(f *testing.F) {
	states := []string{stateDeployed, stateFailed, stateSuperseded, stateUninstalled, stateUninstalling,
		statePendingInstall, statePendingUpgrade, statePendingRollback, "unknown"}
	f.Add(uint8(0), true, 0, 0, 0, int64(60), true, false)
	f.Add(uint8(1), false, 3, 1, 2, int64(0), false, true)
	f.Fuzz(func(t *testing.T, state uint8, same bool, good, failed, limit int, age int64, ready, wait bool) {
		inputs := "old"
		if same {
			inputs = "new"
		}
		o := observation{
			Last:      revAt(max(good, 0)+1, states[int(state)%len(states)], inputs, time.Duration(age)*time.Second),
			Good:      max(good, 0),
			Failed:    max(failed, 0),
			Workloads: workloads{Ready: ready},
		}
		w := wanted{Inputs: "new", Attempts: max(limit, 0), Wait: wait, WaitTimeout: 5 * time.Minute}
		d := decide(o, w, now)
		if o.Last.State == stateDeployed && same && ready && d.Do != doNothing {
			t.Errorf("%+v is what is wanted and ready, but %+v", o, d)
		}
		if d.Do == doRollback && d.To != o.Good {
			t.Errorf("rollback to %d, but the good revision is %d", d.To, o.Good)
		}
		if d.Do == doHold && !d.Until.IsZero() && !d.Until.After(now) {
			t.Errorf("holding until %s, which is over", d.Until)
		}
	})
}
