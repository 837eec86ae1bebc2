// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// runner works for one virtual cluster: it waits for the Lease, serves as long as it
// holds it, and starts the tenant again when it fails.
type runner struct {
	*pool
	name string
	uid  types.UID
	ctx  context.Context
	// abandon ends the runner; retire makes it stop the tenant for good first.
	abandon  context.CancelFunc
	retiring chan struct{}
	retire   func()
	// news is that the reconciler said serve once more: what a claim found before may be over.
	news chan struct{}
	done chan struct{}

	// retired is written and read by the goroutines of run, one after the other.
	retired bool
	// gone says that nobody will ever want the Lease again.
	gone atomic.Bool
}

func newRunner(p *pool, name string, uid types.UID) *runner {
	r := &runner{pool: p, name: name, uid: uid, retiring: make(chan struct{}), news: make(chan struct{}, 1), done: make(chan struct{})}
	r.ctx, r.abandon = context.WithCancel(p.ctx)
	r.retire = sync.OnceFunc(func() { close(r.retiring) })
	return r
}

// tell that the virtual cluster is to be served, for a claim that waits for this.
func (r *runner) tell() {
	select {
	case r.news <- struct{}{}:
	default: // told, and not heard yet
	}
}

func (r *runner) leaseName() string { return "vc-" + r.name }

// run returns when the runner was abandoned or has retired its tenant.
func (r *runner) run(ctx context.Context) {
	defer close(r.done)
	defer r.abandon()
	for ctx.Err() == nil && !r.retired {
		if err := r.lead(ctx); err != nil {
			log.FromContext(ctx).Error(err, "cannot compete for the Lease", "lease", r.leaseName())
			return
		}
	}
	if r.retired || r.gone.Load() {
		r.deleteLease(ctx)
	}
}

// lead competes for the Lease once, and returns when it was not won, lost, or given
// back. It is given back only after the tenant has stopped, so that two members never
// serve the same one.
func (r *runner) lead(ctx context.Context) error {
	electing, resign := context.WithCancel(context.WithoutCancel(ctx))
	defer resign()
	t := &term{}
	// Before the Lease is won the end of ctx ends the wait; after that hold sees it.
	defer context.AfterFunc(ctx, func() { t.unlessBegun(resign) })()
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: r.Namespace, Name: r.leaseName()},
			Client:     r.clients.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: r.Member},
		},
		LeaseDuration: r.LeaseDuration, RenewDeadline: r.LeaseDuration * 2 / 3, RetryPeriod: r.LeaseDuration / 5,
		ReleaseOnCancel: true,
		Name:            r.leaseName(),
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(lead context.Context) {
				if t.begin() {
					defer t.end()
					defer resign()
					r.hold(ctx, lead)
				}
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("competing for Lease %s/%s: %w", r.Namespace, r.leaseName(), err)
	}
	elector.Run(electing)
	t.close()
	return nil
}

// term is one time of holding the Lease. The elector calls OnStartedLeading in a
// goroutine of its own, which may come to run after the elector has already returned.
type term struct {
	mu            sync.Mutex
	begun, closed bool
	running       sync.WaitGroup
}

// begin is false when the term is over already.
func (t *term) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.begun = true
	t.running.Add(1)
	return true
}

func (t *term) end() { t.running.Done() }

func (t *term) unlessBegun(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		f()
	}
}

// close lets nothing begin any more, and waits for what has begun.
func (t *term) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.running.Wait()
}

// hold serves while the runner is wanted (ctx) and has the Lease (lead).
func (r *runner) hold(ctx, lead context.Context) {
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(lead, cancel)()
	backoff := newBackoff()
	for both.Err() == nil {
		began := time.Now()
		work, interrupt := r.serveOnce, r.retiring
		if r.isRetiring() {
			work, interrupt = r.finish, nil
		}
		err := work(both)
		switch {
		case both.Err() != nil:
		case err == nil && r.retired:
			return
		case err != nil:
			r.failed(both, err)
			if time.Since(began) > stable {
				backoff = newBackoff()
			}
			select {
			case <-time.After(backoff.Step()):
			case <-interrupt:
			case <-both.Done():
			}
		}
	}
	if lead.Err() == nil { // else another member may serve already
		r.reportStopped(context.WithoutCancel(ctx))
	}
}

// stable is how long a tenant must have served for its next failure to count as the first.
const stable = 5 * time.Minute

func newBackoff() *wait.Backoff {
	return &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 8, Cap: time.Minute}
}

func (r *runner) isRetiring() bool {
	select {
	case <-r.retiring:
		return true
	default:
		return false
	}
}
