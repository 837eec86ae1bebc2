// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// inFlight are the Services whose host object was made by admission while the virtual
// one is still on its way into etcd. Without it the host Service would look like one whose virtual Service is gone.
type inFlight struct {
	mu     sync.Mutex
	count  map[types.NamespacedName]int
	landed queue // hears when a request has ended, whichever way; nil until the controller runs
}

func newInFlight() *inFlight { return &inFlight{count: map[types.NamespacedName]int{}} }

// hold keeps a name in flight until the request's context ends, which is when the API server has answered.
func (f *inFlight) hold(ctx context.Context, key types.NamespacedName) {
	f.mu.Lock()
	f.count[key]++
	f.mu.Unlock()
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		if f.count[key]--; f.count[key] == 0 {
			delete(f.count, key)
		}
		landed := f.landed
		f.mu.Unlock()
		if landed != nil {
			landed.Add(reconcile.Request{NamespacedName: key})
		}
	})
}

func (f *inFlight) has(key types.NamespacedName) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[key] > 0
}

// start is the source of the Service controller.
func (f *inFlight) start(_ context.Context, q queue) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.landed = q
	return nil
}
