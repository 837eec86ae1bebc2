// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"errors"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/skerry-platform/skerry/internal/oam/render"
)

// What makes a cluster serve more kinds. They are watched while an Application waits for
// a kind.
var (
	crdKind        = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	apiServiceKind = schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"}
)

const (
	// settling is how long after the last news of a group its kinds may take to be
	// served. The API server tells nobody when it has begun to.
	settling = 10 * time.Second
	// settlingRetry is how often an Application looks in the meantime.
	settlingRetry = 500 * time.Millisecond
)

// waitingForKinds are the Applications that render a kind which the cluster does not
// serve. liveObjects.mu guards it.
type waitingForKinds struct {
	// groups is the API group that an Application waits for.
	groups map[types.NamespacedName]string
	// news is when a group was last heard of.
	news map[string]time.Time
}

// unservedGroup is the API group that is missing, when it is that what is wrong.
func unservedGroup(err error) (string, bool) {
	var refused *render.Error
	var kind *meta.NoKindMatchError
	if !errors.As(err, &refused) || !errors.As(refused.Err, &kind) {
		return "", false
	}
	return kind.GroupKind.Group, true
}

// awaitGroup wakes an Application when a group's definitions change, and returns how soon
// to look again by itself; 0 is not at all.
func (l *liveObjects) awaitGroup(app types.NamespacedName, group string) (time.Duration, error) {
	l.mu.Lock()
	before, waited := l.unserved.groups[app]
	l.unserved.groups[app] = group
	heard, recently := l.unserved.news[group]
	l.mu.Unlock()
	for _, gvk := range []schema.GroupVersionKind{crdKind, apiServiceKind} {
		if err := l.watch(app, gvk); err != nil {
			return 0, err
		}
	}
	if !waited || before != group {
		// What came after the look and before the wait was told to nobody.
		return settlingRetry, nil
	}
	if recently && time.Since(heard) < settling {
		return settlingRetry, nil
	}
	return 0, nil
}

// served ends the wait of an Application.
func (l *liveObjects) served(app types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.unserved.groups, app)
	if len(l.unserved.groups) == 0 {
		l.unserved.news = nil
	}
}

// wakeWaiting queues the Applications that wait for the group of a
// CustomResourceDefinition (PLURAL.GROUP) or an APIService (VERSION.GROUP).
func (l *liveObjects) wakeWaiting() toolscache.ResourceEventHandler {
	heard := func(o any) {
		m := asMetadata(o)
		if m == nil {
			return
		}
		_, group, _ := strings.Cut(m.Name, ".")
		l.mu.Lock()
		defer l.mu.Unlock()
		for app, wanted := range l.unserved.groups {
			if wanted != group {
				continue
			}
			if l.unserved.news == nil {
				l.unserved.news = map[string]time.Time{}
			}
			l.unserved.news[group] = time.Now()
			l.queue.Add(reconcile.Request{NamespacedName: app})
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    heard,
		UpdateFunc: func(_, after any) { heard(after) },
	}
}
