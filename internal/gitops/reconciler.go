// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
)

// passLimit bounds one reconcile, so that a repository or a cluster that hangs does not
// hold a worker.
const passLimit = 2 * time.Minute

// conflictRetry is when to start again after somebody else wrote to the Application.
const conflictRetry = 20 * time.Millisecond

// compareLimit bounds what a destination is asked in one reconcile.
const compareLimit = 20 * time.Second

type reconciler struct {
	client client.Client
	// reader goes past the cache: a decision must not be older than the last write.
	reader       client.Reader
	secrets      client.Reader
	opts         Options
	metrics      *metrics
	destinations *destinations
	recorder     events.EventRecorder

	mu    sync.Mutex
	base  context.Context // of the controller, for watches that outlive a reconcile
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
	apps  map[client.ObjectKey]*tracked
}

// tracked is what is kept in memory of one Application between reconciles. Nothing in it
// is needed after a restart. Only refresh and drift are written outside of a reconcile.
type tracked struct {
	// refresh: ask the repository. drift: compare with the destination.
	refresh, drift atomic.Bool

	source    argov1alpha1.ApplicationSource
	revision  *loaded
	checkedAt time.Time
	failures  int
	patience  patience
	// silentSince is when a deletion got no answer first; zero once it did.
	silentSince time.Time
	comparison  *comparison
	dest        *destination
	watches     *watches
	heals       int
	healedAt    time.Time
}

// loaded is one revision's content.
type loaded struct {
	commit    string
	manifests []manifest
}

// tracked returns what is kept of an Application.
func (r *reconciler) tracked(key client.ObjectKey) *tracked {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.apps == nil {
		r.apps = map[client.ObjectKey]*tracked{}
	}
	t := r.apps[key]
	if t == nil {
		t = &tracked{}
		r.apps[key] = t
	}
	return t
}

// forget drops what is kept of an Application that is gone.
func (r *reconciler) forget(key client.ObjectKey) {
	r.mu.Lock()
	t := r.apps[key]
	delete(r.apps, key)
	r.mu.Unlock()
	if t != nil && t.watches != nil {
		t.watches.stop()
	}
}

// enqueue asks for a reconcile from outside of one. It reports whether the engine runs.
func (r *reconciler) enqueue(key client.ObjectKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queue == nil {
		return false
	}
	r.queue.Add(reconcile.Request{NamespacedName: key})
	return true
}

// Reconcile brings one Application's destination to its newest revision.
func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	app := &argov1alpha1.Application{}
	if err := r.reader.Get(ctx, req.NamespacedName, app); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !app.DeletionTimestamp.IsZero() {
		return r.delete(ctx, app)
	}
	limited, cancel := context.WithTimeout(ctx, passLimit)
	defer cancel()
	p := &pass{reconciler: r, tracked: r.tracked(req.NamespacedName), app: app, before: app.DeepCopy(), now: time.Now()}
	found := app.DeepCopy()
	wait, err := p.run(limited)
	if err == nil {
		err = p.save(ctx)
	}
	if err == nil {
		p.announce(found)
	}
	if err != nil {
		// What this pass learned is not written down: learn it again.
		p.refresh.Store(true)
		p.drift.Store(true)
		if apierrors.IsConflict(err) {
			return ctrl.Result{RequeueAfter: conflictRetry}, nil
		}
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// pass is one reconcile of one Application.
type pass struct {
	*reconciler
	*tracked
	app, before *argov1alpha1.Application
	now         time.Time

	project *argov1alpha1.AppProject
	current *loaded // the revision that this pass is about
	targets []target
	// targeted: the targets are those of the revision. Without it nothing is known of what should be there.
	targeted bool
	compared bool
	// applied are the objects that this pass changed, gone those that it saw go, going those that
	// it saw being deleted without the watch.
	applied, gone, going apply.Inventory
}

// run goes through the steps. What goes wrong becomes a condition; an error is only what
// keeps the status from being written.
func (p *pass) run(ctx context.Context) (time.Duration, error) {
	p.app.Status.Conditions = nil
	asked := p.takeRequests()
	if err := p.prepare(ctx, asked); err != nil {
		p.fail(ctx, err)
		return p.retryIn(), nil
	}
	p.failures = 0
	p.findGone(ctx)
	v := decide(p.situation())
	if v.Sync {
		if err := p.sync(ctx, v); err != nil {
			return 0, err
		}
		v = decide(p.situation())
		if v.Sync {
			v.Wait = time.Second
		}
	} else {
		p.explainRefusal()
	}
	p.follow()
	p.report()
	return p.nextIn(v), nil
}

// requests are what asks for more than a look at what is known.
type requests struct{ repository, content bool }

// takeRequests reads and clears the refresh annotation, the requested operation's wish for
// a revision, and what the webhook or a Secret left.
func (p *pass) takeRequests() requests {
	asked := requests{repository: p.refresh.Swap(false)}
	if kind, ok := p.app.Annotations[argov1alpha1.AnnotationRefresh]; ok {
		delete(p.app.Annotations, argov1alpha1.AnnotationRefresh)
		asked.repository = true
		if kind == argov1alpha1.RefreshHard {
			asked.content = true
			if s := p.app.Status.OperationState; s != nil && s.Phase != argov1alpha1.OperationSucceeded {
				s.RetryCount, s.FinishedAt = 0, nil // another try at what failed
			}
		}
	}
	asked.repository = asked.repository || p.app.Operation != nil || p.failures > 0 ||
		p.revision == nil || p.now.Sub(p.checkedAt) >= p.opts.Interval
	return asked
}

// prepare finds out all that the decision needs: who may deliver what where, the revision,
// its objects, and how the destination differs.
func (p *pass) prepare(ctx context.Context, asked requests) error {
	if err := p.check(ctx); err != nil {
		return err
	}
	if err := p.load(ctx, asked); err != nil {
		return err
	}
	targets, repeated, err := prepare(p.app, p.project, p.dest, p.current.manifests)
	if err != nil {
		return err
	}
	p.targets, p.targeted = targets, true
	if len(repeated) > 0 {
		p.condition("RepeatedResourceWarning", "the last one counts: "+some(repeated, ", "))
	}
	ctx, cancel := context.WithTimeout(ctx, compareLimit)
	defer cancel()
	return p.compare(ctx)
}

// check reads the project and the destination.
func (p *pass) check(ctx context.Context) error {
	spec := p.app.Spec
	if err := checkServed(spec, p.app.Operation); err != nil {
		return err
	}
	p.project = &argov1alpha1.AppProject{}
	key := client.ObjectKey{Namespace: p.app.Namespace, Name: spec.Project}
	if err := p.client.Get(ctx, key, p.project); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return invalidSpec("spec.project: there is no AppProject %s in namespace %s", spec.Project, p.app.Namespace)
		}
		return fmt.Errorf("reading AppProject %s: %w", key, err)
	}
	if err := checkProject(p.project); err != nil {
		return err
	}
	if err := checkSource(p.project, spec.Source.RepoURL); err != nil {
		return err
	}
	dest, err := p.destinations.get(ctx, spec.Destination)
	if err != nil {
		return err
	}
	if dest != p.dest {
		p.connect(dest)
	}
	return checkDestination(p.project, dest.name, dest.server, spec.Destination.Namespace)
}

// connect follows the Application to another cluster, or to new settings of the same.
func (p *pass) connect(dest *destination) {
	if p.watches != nil {
		p.watches.stop()
	}
	key := client.ObjectKeyFromObject(p.app)
	// The watches outlive this pass, so they hold on to nothing of it.
	r, t := p.reconciler, p.tracked
	p.dest, p.comparison = dest, nil
	p.watches = &watches{app: p.app.Name, dest: dest, log: log.Log.WithName("gitops").WithValues("Application", key), changed: func(drift bool) {
		if drift {
			t.drift.Store(true)
		}
		r.enqueue(key)
	}}
}
