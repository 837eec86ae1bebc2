// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

// memory saves work between reconciles: rendering again what has not changed, and
// asking the API server to apply what is as it was applied. Losing it costs time only.
type memory struct {
	mu   sync.Mutex
	apps map[types.NamespacedName]*appMemory
}

// appMemory is used by one reconcile at a time.
type appMemory struct {
	// rendered holds what came of the Application as it is and of the version that keeps
	// running, by what it was rendered from.
	rendered map[string]rendering
	// unknowable is the health of components whose definitions the evaluator stopped at,
	// by component, with the key that it is for.
	unknowable map[string]stopped
	// seen, by component: its objects and their health.
	seen map[string]sight
	// applied, by component: the key that it was applied for, and the objects'
	// fingerprints right after.
	applied map[string]appliedAs
	// recorded is the newest revision that was put on record.
	recorded *oamv1.Revision
	// succeeded is the revision that has been marked as such.
	succeeded string
}

// rendering is what came of a render: one of the two is nil.
type rendering struct {
	result  *render.Result
	refused *render.Error
}

type stopped struct {
	key    string
	health render.ComponentHealth
}

type appliedAs struct {
	key          string
	fingerprints []string
}

func newMemory() *memory { return &memory{apps: map[types.NamespacedName]*appMemory{}} }

func (m *memory) of(app types.NamespacedName) *appMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.apps[app] == nil {
		m.apps[app] = &appMemory{rendered: map[string]rendering{}, unknowable: map[string]stopped{}, seen: map[string]sight{}, applied: map[string]appliedAs{}}
	}
	return m.apps[app]
}

func (m *memory) forget(app types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.apps, app)
}

// keep forgets what this run had no use for.
func (m *appMemory) keep(run *run) {
	unused := func(key string) bool { return !slices.Contains(run.keys, key) }
	maps.DeleteFunc(m.rendered, func(key string, _ rendering) bool { return unused(key) })
	maps.DeleteFunc(m.unknowable, func(_ string, s stopped) bool { return unused(s.key) })
	maps.DeleteFunc(m.seen, func(_ string, s sight) bool { return unused(s.key) })
	maps.DeleteFunc(m.applied, func(_ string, a appliedAs) bool { return unused(a.key) })
}

// isApplied reports whether a component's objects are as they were right after they were
// applied for key.
func (m *appMemory) isApplied(component, key string, now sight) bool {
	as, ok := m.applied[component]
	return ok && as.key == key && slices.Equal(as.fingerprints, now.fingerprints)
}

func (m *appMemory) remember(component, key string, now sight) {
	if slices.Contains(now.fingerprints, "") {
		delete(m.applied, component)
		return
	}
	m.applied[component] = appliedAs{key: key, fingerprints: now.fingerprints}
}

// sight is what a component's objects were like when they were last read, in order.
type sight struct {
	key string
	// versions are their resourceVersions; empty for one that did not exist.
	versions []string
	// fingerprints are empty for one that did not exist or was being deleted.
	fingerprints []string
	health       render.ComponentHealth
}

func (s *sight) add(o *unstructured.Unstructured) {
	version, print := "", ""
	if o != nil {
		version = o.GetResourceVersion()
		if o.GetDeletionTimestamp().IsZero() {
			print = fingerprint(o)
		}
	}
	s.versions, s.fingerprints = append(s.versions, version), append(s.fingerprints, print)
}

// fingerprint is a hash of an object without what changes by itself: its status and
// the API server's own metadata.
func fingerprint(o *unstructured.Unstructured) string {
	content := make(map[string]any, len(o.Object))
	for k, v := range o.Object {
		if k != "status" && k != "metadata" {
			content[k] = v
		}
	}
	raw, err := json.Marshal([]any{content, o.GetUID(), o.GetLabels(), o.GetAnnotations(), o.GetFinalizers(), o.GetOwnerReferences()})
	if err != nil {
		return "" // equal to no fingerprint that was remembered from a readable object
	}
	sum := sha256.Sum256(raw)
	return string(sum[:])
}
