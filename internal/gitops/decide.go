// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"math"
	"slices"
	"strconv"
	"time"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// Defaults of a retry's back-off, and the waits between two repairs, as in Argo CD.
const (
	defaultBackoff    = 5 * time.Second
	defaultFactor     = 2
	defaultMaxBackoff = 3 * time.Minute

	healBackoff    = 2 * time.Second
	maxHealBackoff = 5 * time.Minute
)

// situation is all that the decision to sync looks at.
type situation struct {
	// Requested is an operation that somebody asked for.
	Requested *argov1alpha1.SyncOperation
	// Policy is the Application's; nil is none.
	Policy *argov1alpha1.SyncPolicy
	// Differs: an object on the destination is not as the revision says. Leftover: an
	// object is there that the revision does not have, and its deletion was not asked for.
	Differs, Leftover bool
	// Last is the newest operation; SameSource says that it was of this revision and source.
	Last       *argov1alpha1.OperationState
	SameSource bool
	// Heals counts repairs of this revision in a row, HealedAt is the last one.
	Heals    int
	HealedAt time.Time
	Now      time.Time
}

// verdict is what to do now.
type verdict struct {
	// Sync now; Prune what is left over; Retry is the count of this attempt, from 0.
	Sync, Prune bool
	Retry       int64
	// Heal: this sync repairs what somebody changed on the destination.
	Heal bool
	// Wait this long and decide again. 0: nothing to wait for.
	Wait time.Duration
}

// decide whether to sync. A revision that was delivered is not delivered again unless it
// drifted and selfHeal is on; one that failed is tried as often as the retry policy says.
func decide(s situation) verdict {
	if s.Requested != nil {
		return verdict{Sync: true, Prune: s.Requested.Prune}
	}
	if by := s.Last; by != nil && s.SameSource && by.Phase != argov1alpha1.OperationSucceeded &&
		by.Operation.Sync != nil && !by.Operation.InitiatedBy.Automated {
		return retry(s, &by.Operation.Retry, by.Operation.Sync.Prune)
	}
	auto := automation(s.Policy)
	if auto == nil {
		return verdict{}
	}
	prune := auto.Prune && !slices.Contains(s.Policy.SyncOptions, "Prune=false")
	if !s.Differs && (!s.Leftover || !prune) {
		return verdict{}
	}
	if s.Last == nil || !s.SameSource {
		return verdict{Sync: true, Prune: prune}
	}
	if s.Last.Phase == argov1alpha1.OperationSucceeded {
		if !auto.SelfHeal {
			return verdict{}
		}
		if wait := s.HealedAt.Add(healWait(s.Heals)).Sub(s.Now); wait > 0 {
			return verdict{Wait: wait}
		}
		return verdict{Sync: true, Prune: prune, Heal: true}
	}
	return retry(s, s.Policy.Retry, prune)
}

// retry decides about a revision whose last operation did not succeed. An operation that
// is still Running was cut off by a restart of the engine: it goes on.
func retry(s situation, strategy *argov1alpha1.RetryStrategy, prune bool) verdict {
	if s.Last.Phase == argov1alpha1.OperationRunning || s.Last.FinishedAt == nil {
		return verdict{Sync: true, Prune: prune, Retry: s.Last.RetryCount}
	}
	if strategy == nil || strategy.Limit >= 0 && s.Last.RetryCount >= strategy.Limit {
		return verdict{}
	}
	if wait := s.Last.FinishedAt.Add(backoff(strategy.Backoff, s.Last.RetryCount)).Sub(s.Now); wait > 0 {
		return verdict{Wait: wait}
	}
	return verdict{Sync: true, Prune: prune, Retry: s.Last.RetryCount + 1}
}

func automation(p *argov1alpha1.SyncPolicy) *argov1alpha1.SyncPolicyAutomated {
	if p == nil || p.Automated == nil || p.Automated.Enabled != nil && !*p.Automated.Enabled {
		return nil
	}
	return p.Automated
}

// backoff is how long to wait after the attempt with the given count (from 0).
func backoff(b *argov1alpha1.Backoff, count int64) time.Duration {
	first, factor, longest := defaultBackoff, int64(defaultFactor), defaultMaxBackoff
	if b != nil {
		first = parseDuration(b.Duration, first)
		longest = parseDuration(b.MaxDuration, longest)
		if b.Factor != nil {
			factor = max(1, *b.Factor)
		}
	}
	wait := float64(first) * math.Pow(float64(factor), float64(count))
	return time.Duration(min(wait, float64(longest)))
}

// parseDuration reads what Argo CD does: a Go duration, or a number of seconds.
func parseDuration(s string, fallback time.Duration) time.Duration {
	if seconds, err := strconv.Atoi(s); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d
	}
	return fallback
}

// healWait keeps two controllers that undo each other from doing so without end: the
// first repair is immediate, the following wait longer and longer.
func healWait(heals int) time.Duration {
	if heals == 0 {
		return 0
	}
	return time.Duration(min(float64(healBackoff)*math.Pow(2, float64(heals-1)), float64(maxHealBackoff)))
}
