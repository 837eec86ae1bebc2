// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"slices"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// turns lets each virtual cluster have a share of the workers at most: a chart's hooks hold one until they
// end or time out, and must not hold up other tenants.
type turns struct {
	// most workers of one virtual cluster at once.
	most int

	mu      sync.Mutex
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
	running map[string]int
	waiting map[string][]reconcile.Request // first come, first served
}

func newTurns(most int) *turns {
	return &turns{most: most, running: map[string]int{}, waiting: map[string][]reconcile.Request{}}
}

// start keeps the controller's queue. The controller calls it before its first Reconcile.
func (t *turns) start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = queue
	return nil
}

// enter reports whether it is this Release's turn. If not, it comes into the queue again when it is.
func (t *turns) enter(virtualCluster string, req reconcile.Request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running[virtualCluster] < t.most {
		t.running[virtualCluster]++
		return true
	}
	if !slices.Contains(t.waiting[virtualCluster], req) {
		t.waiting[virtualCluster] = append(t.waiting[virtualCluster], req)
	}
	return false
}

// leave ends a turn that enter gave, and calls the next one. With the last turn all are called: one that was
// called before may not have come, because its Release was gone.
func (t *turns) leave(virtualCluster string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running[virtualCluster]--
	waiting := t.waiting[virtualCluster]
	called := waiting[:min(1, len(waiting))]
	if t.running[virtualCluster] == 0 {
		delete(t.running, virtualCluster)
		called = waiting
	}
	for _, req := range called {
		t.queue.Add(req)
	}
	if t.waiting[virtualCluster] = waiting[len(called):]; len(called) == len(waiting) {
		delete(t.waiting, virtualCluster)
	}
}
