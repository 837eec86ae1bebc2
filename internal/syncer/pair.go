// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"k8s.io/client-go/util/workqueue"
)

// conflictDelay is how long the news that a write conflicted with may take to reach the cache.
const conflictDelay = 5 * time.Millisecond

// object is a pointer to a typed kind.
type object[S any] interface {
	*S
	client.Object
}

// pair is what the two sides have under one name. At least one is there.
type pair[S any, T object[S]] struct {
	key     types.NamespacedName // in the virtual cluster
	space   *space               // nil when the namespace has nothing on the host
	virtual T                    // nil when absent
	host    T                    // nil when absent
}

// steps are what a synced kind does with a pair.
type steps[S any, T object[S]] interface {
	// down: only the virtual object exists.
	down(ctx context.Context, p pair[S, T]) (reconcile.Result, error)
	// both exist.
	both(ctx context.Context, p pair[S, T]) (reconcile.Result, error)
	// up: only the host object exists.
	up(ctx context.Context, p pair[S, T]) (reconcile.Result, error)
}

// reconciler reads a pair from the caches and takes the step.
type reconciler[S any, T object[S]] struct {
	*tenant
	kind  string
	steps steps[S, T]
	// hostName and virtualName translate the object's name; nil when it is the same.
	hostName, virtualName func(string) string
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler[S, T]) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	p, known, err := r.read(ctx, req.NamespacedName)
	if err != nil || !known {
		return reconcile.Result{}, err
	}
	start := time.Now()
	direction, step := "", r.steps.both
	switch {
	case p.virtual == nil && p.host == nil:
		return reconcile.Result{}, nil
	case p.host == nil:
		direction, step = "down", r.steps.down
	case p.virtual == nil:
		direction, step = "up", r.steps.up
	default:
		direction = "both"
	}
	result, err := step(ctx, p)
	if apierrors.IsConflict(err) {
		// The cache was behind. Its next event may have come already, so look again.
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	observe(r.kind, direction, start, err)
	return result, err
}

// read gives false while it is not known what the host has.
func (r *reconciler[S, T]) read(ctx context.Context, key types.NamespacedName) (pair[S, T], bool, error) {
	p := pair[S, T]{key: key}
	sp, state, err := r.spaces.lookup(ctx, key.Namespace)
	if err != nil || state == spacePending {
		return p, false, err
	}
	p.space = sp
	if p.virtual, err = find[S, T](ctx, r.virtual, key); err != nil {
		return p, false, err
	}
	if sp != nil {
		p.host, err = find[S, T](ctx, sp.cache, types.NamespacedName{Namespace: sp.host, Name: named(r.hostName, key.Name)})
	}
	return p, err == nil, err
}

func named(translate func(string) string, name string) string {
	if translate == nil {
		return name
	}
	return translate(name)
}

// find reads one object; nil when there is none.
func find[S any, T object[S]](ctx context.Context, from client.Reader, key types.NamespacedName) (T, error) {
	obj := T(new(S))
	err := from.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %T %s: %w", obj, key, err)
	}
	return obj, nil
}

// live reads the pair's host object from the API server, for decisions that a cache which is
// a moment behind must not make. Nil when there is none.
func live[S any, T object[S]](ctx context.Context, t *tenant, p pair[S, T], hostName string) (T, bool, error) {
	if p.space == nil {
		vns, err := t.spaces.virtualNamespace(ctx, p.key.Namespace)
		return nil, err == nil && vns == nil, err
	}
	host, err := find[S, T](ctx, t.host, types.NamespacedName{Namespace: p.space.host, Name: hostName})
	return host, err == nil, err
}

// virtualGone says, from the API server, that no virtual object has the pair's name.
func virtualGone[S any, T object[S]](ctx context.Context, t *tenant, p pair[S, T]) (bool, error) {
	virtual, err := find[S, T](ctx, t.virtualLive, p.key)
	return err == nil && virtual == nil, err
}

// setupKind adds a controller for a kind: virtual events, host events, and what
// more the kind watches.
func setupKind[S any, T object[S]](mgr manager.Manager, r *reconciler[S, T], workers int, more ...func(*builder.Builder)) error {
	kind := T(new(S))
	b := builder.ControllerManagedBy(mgr).Named("syncer-"+r.kind).
		WithOptions(options(workers)).
		Watches(kind, &handler.EnqueueRequestForObject{}).
		WatchesRawSource(r.spaces.source(subscription{
			object: T(new(S)),
			hostKeys: func(namespace string, obj client.Object) []reconcile.Request {
				name := named(r.virtualName, obj.GetName())
				if name == "" {
					return nil
				}
				return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}}
			},
			virtualKeys: func(ctx context.Context, namespace string) ([]reconcile.Request, error) {
				return keysIn(ctx, r.virtual, kind, namespace)
			},
		}))
	for _, add := range more {
		add(b)
	}
	return b.Complete(r)
}

// options retry a refusal at most every 30 seconds: what the host refused for (a full quota) may
// have changed without anything here to see it.
func options(workers int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: workers,
		SkipNameValidation:      ptr.To(true),
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
			10*time.Millisecond, 30*time.Second),
	}
}

// keysIn are requests for every object of a kind in a namespace.
func keysIn(ctx context.Context, from client.Reader, kind client.Object, namespace string) ([]reconcile.Request, error) {
	objects, err := listObjects(ctx, from, kind, client.InNamespace(namespace))
	if err != nil {
		return nil, err
	}
	requests := make([]reconcile.Request, 0, len(objects))
	for _, object := range objects {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)})
	}
	return requests, nil
}

// listObjects lists a kind, typed or unstructured like the object given.
func listObjects(ctx context.Context, from client.Reader, kind client.Object, opts ...client.ListOption) ([]client.Object, error) {
	gvk, err := apiutil.GVKForObject(kind, scheme)
	if err != nil {
		return nil, err
	}
	gvk.Kind += "List"
	var list client.ObjectList
	if _, isUnstructured := kind.(*unstructured.Unstructured); isUnstructured {
		untyped := &unstructured.UnstructuredList{}
		untyped.SetGroupVersionKind(gvk)
		list = untyped
	} else {
		typed, err := scheme.New(gvk)
		if err != nil {
			return nil, err
		}
		list = typed.(client.ObjectList)
	}
	if err := from.List(ctx, list, opts...); err != nil {
		return nil, fmt.Errorf("listing %s: %w", gvk.Kind, err)
	}
	var objects []client.Object
	err = meta.EachListItem(list, func(item runtime.Object) error {
		objects = append(objects, item.(client.Object))
		return nil
	})
	return objects, err
}
