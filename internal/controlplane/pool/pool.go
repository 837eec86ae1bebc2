// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pool is a member of the pool that serves the control planes of virtual
// clusters, many in one process. It is the second half of station 4 of docs/flow.md
// (vcluster): the operator prepares a VirtualCluster, a member serves it.
//
// Members share the work by Leases, one for each virtual cluster: whoever holds it
// serves. A member that restarts under its name takes its own back at once; those of
// one that is gone are taken by others.
package pool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/requeue"
)

// Options of SetupWithManager.
type Options struct {
	// Namespace of the Leases.
	Namespace string
	// Member is the pod's name: the holder of the Leases.
	Member string
	// Address of the pod, for the EndpointSlices.
	Address net.IP
	// Dir holds one private folder for each tenant.
	Dir string
	// Version of Kubernetes that is served, such as v1.37.2.
	Version string
	// Tenants starts them.
	Tenants Factory
	// Registerer of the metrics. nil: none.
	Registerer prometheus.Registerer
	// LeaseDuration is how long a member that was killed keeps its tenants.
	// Default 20 s. Leases are renewed each fifth of it.
	LeaseDuration time.Duration
}

const (
	defaultLeaseDuration = 20 * time.Second
	stopTimeout          = 15 * time.Second
	reportTimeout        = 5 * time.Second
)

// pool is one member.
type pool struct {
	Options
	ctx     context.Context // of the process: what runners outlive no longer
	client  client.Client
	live    client.Reader
	host    *rest.Config
	clients kubernetes.Interface
	metrics *metrics
	log     logr.Logger
	memory  trimmer

	mu      sync.Mutex
	runners map[string]*runner
	wg      sync.WaitGroup
}

// SetupWithManager adds the member to a manager of the host cluster. ctx is the one
// that the manager is started with: when it is done, tenants are stopped in order
// and their Leases released, before the manager ends.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, opts Options) error {
	if opts.Member == "" || opts.Address == nil || opts.Tenants == nil {
		return errors.New("setting up the pool member: Member, Address and Tenants are needed")
	}
	if opts.LeaseDuration == 0 {
		opts.LeaseDuration = defaultLeaseDuration
	}
	clients, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making the pool member's client: %w", err)
	}
	p := &pool{
		Options: opts, ctx: ctx, client: mgr.GetClient(), live: mgr.GetAPIReader(), host: mgr.GetConfig(), clients: clients,
		metrics: newMetrics(opts.Registerer), log: mgr.GetLogger().WithName("pool"), runners: map[string]*runner{},
		memory: newTrimmer(),
	}
	if err := mgr.Add(stopper{p}); err != nil {
		return fmt.Errorf("adding the pool member to the manager: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		Named("pool").
		For(&platformv1alpha1.VirtualCluster{}).
		WithOptions(controller.Options{SkipNameValidation: ptr.To(true), RateLimiter: requeue.Limiter()}).
		Complete(p)
	if err != nil {
		return fmt.Errorf("adding the pool member's controller: %w", err)
	}
	return nil
}

// stopper keeps the manager from ending before every tenant has stopped.
type stopper struct{ *pool }

var _ manager.LeaderElectionRunnable = stopper{}

// Start waits for the end.
func (s stopper) Start(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	for _, r := range s.runners {
		r.abandon()
	}
	s.mu.Unlock()
	s.wg.Wait()
	s.memory.stop()
	return nil
}

// NeedLeaderElection is false: each tenant has a Lease of its own.
func (stopper) NeedLeaderElection() bool { return false }

// serve makes sure that a runner works for the virtual cluster. It returns at once.
func (p *pool) serve(name string, uid types.UID) *runner {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.runners[name]; r != nil {
		if r.uid == uid {
			return r
		}
		r.abandon() // one of the same name was deleted and made again
	}
	r := newRunner(p, name, uid)
	before := p.runners[name]
	p.runners[name] = r
	runCtx := log.IntoContext(r.ctx, p.log.WithValues("virtualCluster", name))
	p.wg.Go(func() {
		if before != nil {
			<-before.done
		}
		r.run(runCtx)
		p.forget(r)
	})
	return r
}

func (p *pool) forget(r *runner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runners[r.name] == r {
		delete(p.runners, r.name)
	}
}

// abandon stops working for a virtual cluster that is gone.
func (p *pool) abandon(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.runners[name]; r != nil {
		r.gone.Store(true)
		r.abandon()
	}
}
