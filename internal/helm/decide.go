// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"time"
)

// Helm's states of a revision, as helm.sh/helm/v4/pkg/release/common has them.
const (
	stateDeployed        = "deployed"
	stateFailed          = "failed"
	stateSuperseded      = "superseded"
	stateUninstalled     = "uninstalled"
	stateUninstalling    = "uninstalling"
	statePendingInstall  = "pending-install"
	statePendingUpgrade  = "pending-upgrade"
	statePendingRollback = "pending-rollback"
)

// Bounds of the retries.
const (
	defaultAttempts = 5
	defaultHistory  = 10
	firstPause      = 10 * time.Second
	longestPause    = 5 * time.Minute
	// foreignPending is how long an operation that somebody else began with Helm is
	// believed to be still going on.
	foreignPending = 5 * time.Minute
)

// revision is one entry of Helm's storage.
type revision struct {
	Number       int
	State        string
	Description  string
	Inputs       string // what wanted.Inputs was when it was made; empty when Skerry did not make it
	At           time.Time
	ChartVersion string
	Manifest     string
}

// observation is everything that a decision rests on.
type observation struct {
	// Last revision, nil when there is none.
	Last *revision
	// Good is the newest revision before Last that was deployed from other
	// inputs; 0 when there is none.
	Good int
	// Deployed are the inputs of the newest revision before Last that Helm still counts
	// as deployed; empty when there is none.
	Deployed string
	// Failed counts the revisions made for what is wanted now that failed, and
	// FailedMessage is the description of the newest one.
	Failed        int
	FailedMessage string
	// Workloads of Last.
	Workloads workloads
	// Drift is what is not as Last has it; Repairs are those that were made of late.
	Drift   []drift
	Repairs repairs
}

// wanted is what the Release asks for.
type wanted struct {
	// Inputs is a digest of chart and values.
	Inputs string
	// Generation of the Release: an edit starts the counting of attempts anew.
	Generation int64
	// Attempts that the Release allows; 0 when it does not say.
	Attempts int
	// Wait counts a revision as failed when it is not ready after WaitTimeout.
	Wait        bool
	WaitTimeout time.Duration
}

// verb is what to do next.
type verb string

const (
	doNothing   verb = "none"
	doHold      verb = "hold"      // wait until Until, or for a change when it is zero
	doInstall   verb = "install"   // first revision
	doUpgrade   verb = "upgrade"   // also over a failed first install: nothing is uninstalled
	doRollback  verb = "rollback"  // to revision To
	doRepair    verb = "repair"    // put back what somebody changed or deleted
	doUnlock    verb = "unlock"    // end an operation that a crash left pending
	doUninstall verb = "uninstall" // finish an uninstall that a crash left half done
)

// decision is the next action and why.
type decision struct {
	Do    verb
	To    int       // doRollback: the revision
	Until time.Time // doHold
	Why   string
	// Failure, when set, is how Last failed without Helm noticing.
	Failure string
}

// records reports whether the action makes a revision.
func (d decision) records() bool { return d.Do == doInstall || d.Do == doUpgrade || d.Do == doRollback }

// needsChart reports whether the action renders the chart.
func (d decision) needsChart() bool { return d.Do == doInstall || d.Do == doUpgrade }

// decide chooses the next action. It never uninstalls what runs, and touches
// nothing while the last revision is what is wanted.
func decide(o observation, w wanted, now time.Time) decision {
	if o.Last == nil {
		return decision{Do: doInstall, Why: "there is no release yet"}
	}
	switch o.Last.State {
	case statePendingInstall, statePendingUpgrade, statePendingRollback:
		return decidePending(o, now)
	case stateUninstalling:
		return decision{Do: doUninstall, Why: "an uninstall was interrupted"}
	case stateUninstalled:
		return decision{Do: doInstall, Why: "the release was uninstalled"}
	case stateDeployed:
		return decideDeployed(o, w, now)
	default:
		return decideFailed(o, w, now)
	}
}

// decidePending ends an operation that nobody carries on. This process works on a
// Release once at a time and only while it leads, so a pending revision of its own
// making is the trace of a crash.
func decidePending(o observation, now time.Time) decision {
	if until := o.Last.At.Add(foreignPending); o.Last.Inputs == "" && now.Before(until) {
		return decision{Do: doHold, Until: until, Why: fmt.Sprintf(
			"somebody else's Helm operation (%s) is going on; it is taken over when it has not ended by %s",
			o.Last.State, until.UTC().Format(time.TimeOnly+" UTC"))}
	}
	return decision{Do: doUnlock, Why: fmt.Sprintf("revision %d was left %s by a crash", o.Last.Number, o.Last.State)}
}

func decideDeployed(o observation, w wanted, now time.Time) decision {
	if o.Last.Inputs != w.Inputs {
		if d := decideUpgrade(o, w, now, "chart or values changed"); d.Do != doHold || len(o.Drift) == 0 {
			return d
		}
	}
	if len(o.Drift) > 0 {
		return decideRepair(o, now)
	}
	if !w.Wait || o.Workloads.Ready {
		return decision{Do: doNothing}
	}
	deadline := o.Last.At.Add(w.WaitTimeout)
	if now.Before(deadline) {
		return decision{Do: doNothing, Until: deadline}
	}
	if o.Good == 0 {
		return decision{Do: doNothing}
	}
	failure := fmt.Sprintf("revision %d was not ready after %s: %s", o.Last.Number, w.WaitTimeout, o.Workloads.Message)
	return decision{Do: doRollback, To: o.Good, Why: failure, Failure: failure}
}

// decideRepair keeps the engine and somebody who undoes its repairs from doing so without end: the
// first repair is immediate, the following ones wait longer and longer.
func decideRepair(o observation, now time.Time) decision {
	why := o.Drift[0].what
	if more := len(o.Drift) - 1; more > 0 {
		why += fmt.Sprintf(" (and %d more)", more)
	}
	if o.Repairs.Count == 0 {
		return decision{Do: doRepair, Why: why}
	}
	if until := o.Repairs.At.Add(pause(o.Repairs.Count)); now.Before(until) {
		return decision{Do: doHold, Until: until, Why: fmt.Sprintf("%s; it was put back %d times already and is again at %s",
			why, o.Repairs.Count, until.UTC().Format(time.TimeOnly+" UTC"))}
	}
	return decision{Do: doRepair, Why: why}
}

// decideFailed restores what ran before, or tries over the failed revision.
func decideFailed(o observation, w wanted, now time.Time) decision {
	if o.Last.Inputs == w.Inputs && o.Deployed == w.Inputs {
		// A repair failed: going back further would undo more than it.
		return decideUpgrade(o, w, now, "the repair failed")
	}
	if o.Last.Inputs == w.Inputs && o.Good > 0 {
		return decision{Do: doRollback, To: o.Good, Why: "the upgrade failed"}
	}
	if o.Last.Inputs != w.Inputs && o.Good > 0 && o.Failed >= w.limit() {
		// The rollback itself failed and the attempts are used up: restore what ran.
		if until := o.Last.At.Add(pause(o.Failed)); now.Before(until) {
			return decision{Do: doHold, Until: until, Why: "the rollback failed"}
		}
		return decision{Do: doRollback, To: o.Good, Why: "the rollback failed"}
	}
	return decideUpgrade(o, w, now, "the last attempt failed")
}

// decideUpgrade paces and bounds the attempts. Without a revision to go back to
// nothing that runs can be harmed, so those attempts go on, unless
// rollbackLimit says otherwise.
func decideUpgrade(o observation, w wanted, now time.Time, why string) decision {
	if o.Failed == 0 {
		return decision{Do: doUpgrade, Why: why}
	}
	bounded := w.Attempts > 0 || o.Last.State == stateDeployed
	if bounded && o.Failed >= w.limit() {
		return decision{Do: doHold, Why: fmt.Sprintf(
			"%d of %d attempts failed; the next one is made when the Release or its values change", o.Failed, w.limit())}
	}
	if until := o.Last.At.Add(pause(o.Failed)); now.Before(until) {
		return decision{Do: doHold, Until: until, Why: fmt.Sprintf("attempt %d failed; the next one is at %s",
			o.Failed, until.UTC().Format(time.TimeOnly+" UTC"))}
	}
	return decision{Do: doUpgrade, Why: why}
}

// history is how many revisions must be kept so that the attempts can be counted:
// each that fails leaves its own revision and that of its rollback.
func (w wanted) history(asked int) int {
	if asked == 0 {
		asked = defaultHistory
	}
	return max(asked, 2*w.limit())
}

// limit is how many attempts an upgrade gets.
func (w wanted) limit() int {
	if w.Attempts > 0 {
		return w.Attempts
	}
	return defaultAttempts
}

// pause before the next attempt: 10 s, doubled for each that failed, 5 min at most.
func pause(failed int) time.Duration {
	p := firstPause
	for range failed - 1 {
		if p *= 2; p >= longestPause {
			return longestPause
		}
	}
	return p
}
