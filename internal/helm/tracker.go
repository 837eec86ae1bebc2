// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// calmAfter is how long a release must be left alone until repairs are immediate again.
const calmAfter = 10 * time.Minute

// tracker is what is kept of Releases between reconciles. Nothing in it is needed after a restart: a
// Release that is not in it is compared with its chart once.
type tracker struct {
	mu       sync.Mutex
	releases map[client.ObjectKey]*remembered
}

type remembered struct {
	// changed: something touched an object of the release since it was compared.
	changed bool
	repairs repairs
}

// repairs counts those in a row.
type repairs struct {
	Count int
	At    time.Time // of the last
}

// of returns what is kept of a Release; the caller holds mu.
func (t *tracker) of(key client.ObjectKey) *remembered {
	if t.releases == nil {
		t.releases = map[client.ObjectKey]*remembered{}
	}
	if t.releases[key] == nil {
		t.releases[key] = &remembered{changed: true}
	}
	return t.releases[key]
}

// mark notes that an object of the release may not be as its chart says.
func (t *tracker) mark(key client.ObjectKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(key).changed = true
}

// take reports whether there is reason to compare, and forgets it.
func (t *tracker) take(key client.ObjectKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := t.of(key).changed
	t.of(key).changed = false
	return changed
}

// repairs so far; none when the last one is long ago.
func (t *tracker) repairs(key client.ObjectKey, now time.Time) repairs {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.of(key)
	if now.Sub(r.repairs.At) > calmAfter {
		r.repairs = repairs{}
	}
	return r.repairs
}

// repaired counts one.
func (t *tracker) repaired(key client.ObjectKey, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.of(key)
	r.repairs = repairs{Count: r.repairs.Count + 1, At: now}
}

// forget a Release that is gone.
func (t *tracker) forget(key client.ObjectKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.releases, key)
}
