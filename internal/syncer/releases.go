// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// releases syncs Releases of both kinds. A request is not about one virtual object but about one slot on the
// host, "virtual namespace/name", because a cluster-scoped and a namespaced Release may both want it.
type releases struct {
	*tenant
	has  served
	refs *referenced
}

// slot is everything that one slot has.
type slot struct {
	key       types.NamespacedName
	space     *space
	virtual   *unstructured.Unstructured // the holder; nil when nothing in the virtual cluster wants the slot
	contender *unstructured.Unstructured // the other kind's Release that wants it too
	host      *unstructured.Unstructured
}

func releaseKinds(has served) []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	if has.clusterReleases {
		kinds = append(kinds, clusterReleaseKind)
	}
	if has.namespacedReleases {
		kinds = append(kinds, namespacedReleaseKind)
	}
	return kinds
}

func setupReleases(_ context.Context, mgr manager.Manager, t *tenant, has served) error {
	if len(releaseKinds(has)) == 0 {
		return nil
	}
	s := &releases{tenant: t, has: has, refs: &referenced{t}}
	b := builder.ControllerManagedBy(mgr).Named("syncer-release").WithOptions(options(4)).
		// A namespace that appears or goes decides about Releases into it.
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
			requests, err := s.slotsIn(ctx, obj.GetName())
			if err != nil {
				return nil // the cache only fails when it is stopping
			}
			return requests
		}), builder.WithPredicates(specOrDeletion))
	for _, kind := range releaseKinds(has) {
		b = b.Watches(untyped(kind), slotHandler())
	}
	if has.hostReleases {
		b = b.WatchesRawSource(t.spaces.source(subscription{
			object: untyped(namespacedReleaseKind), virtualKeys: s.slotsIn,
			hostKeys: func(namespace string, obj client.Object) []reconcile.Request {
				return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: obj.GetName()}}}
			},
		}))
	}
	return b.Complete(s)
}

// slotHandler enqueues the slot that a virtual Release wants, and the one that it wanted before a change.
func slotHandler() handler.EventHandler {
	slotOf := func(obj client.Object) reconcile.Request {
		release := obj.(*unstructured.Unstructured)
		return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: releaseTarget(release), Name: release.GetName()}}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { q.Add(slotOf(e.Object)) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { q.Add(slotOf(e.Object)) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			q.Add(slotOf(e.ObjectNew))
			if before := slotOf(e.ObjectOld); before != slotOf(e.ObjectNew) {
				q.Add(before)
			}
		},
	}
}

// slotsIn are the slots that virtual Releases want in a namespace.
func (s *releases) slotsIn(ctx context.Context, namespace string) ([]reconcile.Request, error) {
	found, err := s.releasesInto(ctx, namespace, s.has)
	requests := make([]reconcile.Request, 0, len(found))
	for _, release := range found {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: release.GetName()}})
	}
	return requests, err
}

// Reconcile brings one slot to what the virtual cluster wants in it.
func (s *releases) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	p, known, err := s.read(ctx, req.NamespacedName)
	if err != nil || !known {
		return reconcile.Result{}, err
	}
	start := time.Now()
	direction, step := "both", s.both
	switch {
	case p.virtual == nil && p.host == nil:
		return reconcile.Result{}, nil
	case p.host == nil:
		direction, step = "down", s.down
	case p.virtual == nil:
		direction, step = "up", s.up
	}
	err = step(ctx, p)
	if p.contender != nil {
		err = errors.Join(err, s.turnAway(ctx, p))
	}
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	observe("release", direction, start, err)
	return reconcile.Result{}, err
}

// read finds who wants a slot and what it has; false while it is not known what the host has.
func (s *releases) read(ctx context.Context, key types.NamespacedName) (slot, bool, error) {
	p := slot{key: key}
	sp, state, err := s.spaces.lookup(ctx, key.Namespace)
	if err != nil || state == spacePending {
		return p, false, err
	}
	p.space = sp
	if sp != nil && s.has.hostReleases {
		p.host, err = s.get(ctx, sp.cache, namespacedReleaseKind, types.NamespacedName{Namespace: sp.host, Name: key.Name})
		if err != nil {
			return p, false, err
		}
	}
	cluster, namespaced, err := s.candidates(ctx, s.virtual, key)
	if err != nil {
		return p, false, err
	}
	p.virtual, p.contender = holder(p.host, cluster, namespaced)
	return p, true, nil
}

// candidates are the two virtual Releases that may want a slot; nil where there is none.
func (s *releases) candidates(ctx context.Context, from client.Reader, key types.NamespacedName) (cluster, namespaced *unstructured.Unstructured, err error) {
	if s.has.clusterReleases {
		cluster, err = s.get(ctx, from, clusterReleaseKind, types.NamespacedName{Name: key.Name})
		if err != nil {
			return nil, nil, err
		}
		if cluster != nil && releaseTarget(cluster) != key.Namespace {
			cluster = nil
		}
	}
	if s.has.namespacedReleases && key.Namespace != "" {
		namespaced, err = s.get(ctx, from, namespacedReleaseKind, key)
	}
	return cluster, namespaced, err
}

func (s *releases) get(ctx context.Context, from client.Reader, kind schema.GroupVersionKind, key types.NamespacedName) (*unstructured.Unstructured, error) {
	release := untyped(kind)
	if err := from.Get(ctx, key, release); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading %s %s: %w", kind.GroupKind(), key, err)
	}
	return release, nil
}

// down makes the host Release, or lets a virtual one go whose host Release is gone.
func (s *releases) down(ctx context.Context, p slot) error {
	if p.virtual.GetDeletionTimestamp() != nil {
		gone, err := s.hostGone(ctx, p)
		if err != nil || !gone {
			return err
		}
		return s.dropFinalizer(ctx, p.virtual)
	}
	if problem, err := s.problem(ctx, p); err != nil || problem != "" {
		return errors.Join(err, s.refuse(ctx, p.virtual, problem))
	}
	if p.space == nil {
		s.spaces.ask(p.key.Namespace)
		return nil
	}
	if err := s.addFinalizer(ctx, p.virtual); err != nil {
		return err
	}
	if err := s.refs.ensure(ctx, p.space, p.key.Namespace, releaseReferences(p.virtual)); err != nil {
		return err
	}
	err := s.host.Create(ctx, s.hostRelease(p.virtual))
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil // its event is on the way
	case refused(err):
		return errors.Join(s.refuse(ctx, p.virtual, message(err)), err)
	case err != nil:
		return fmt.Errorf("creating the host Release of %s: %w", p.key, err)
	}
	log.FromContext(ctx).Info("created host Release", "release", p.key, "hostNamespace", p.space.host)
	return nil
}

// both carries a deletion and changes down, and status up. A virtual Release that was
// made anew takes the host one over: uninstalling would lose data that its name still stands for.
func (s *releases) both(ctx context.Context, p slot) error {
	switch {
	case !s.madeFromVirtual(p.host) && p.virtual.GetDeletionTimestamp() != nil:
		return s.dropFinalizer(ctx, p.virtual)
	case !s.madeFromVirtual(p.host):
		return s.refuse(ctx, p.virtual, fmt.Sprintf("a Release %s made on the host itself holds the name there: use another name", p.key.Name))
	}
	if p.virtual.GetDeletionTimestamp() != nil {
		if err := s.report(ctx, p); err != nil {
			return err
		}
		return s.end(ctx, p)
	}
	if p.host.GetDeletionTimestamp() != nil {
		return s.report(ctx, p) // of a Release before this one; its end is the next event
	}
	problem, err := s.problem(ctx, p)
	if err != nil || problem != "" {
		return errors.Join(err, s.refuse(ctx, p.virtual, problem))
	}
	if err := s.change(ctx, p); err != nil {
		if refused(err) {
			err = errors.Join(s.refuse(ctx, p.virtual, message(err)), err)
		}
		return err
	}
	return s.report(ctx, p)
}

// end deletes the host Release, with what the virtual one said last (deletionPolicy may have just changed).
func (s *releases) end(ctx context.Context, p slot) error {
	if p.host.GetDeletionTimestamp() != nil {
		return nil
	}
	if checkRelease(p.virtual) == "" {
		if err := s.change(ctx, p); err != nil && !refused(err) {
			return err
		}
	}
	return remove(ctx, s.host, p.host)
}

// change brings the host Release to what the virtual one says. The hash will say so, and nobody will compare the rest
// again: the difference must be one to what the host has now, not to what a cache had a moment ago.
func (s *releases) change(ctx context.Context, p slot) error {
	if err := s.refs.ensure(ctx, p.space, p.key.Namespace, releaseReferences(p.virtual)); err != nil {
		return err
	}
	before := p.host.DeepCopy()
	if !mergeRelease(p.host, s.hostRelease(p.virtual)) {
		return nil
	}
	if err := s.host.Patch(ctx, p.host, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("changing the host Release of %s: %w", p.key, err)
	}
	return nil
}

// up removes the host Release of a virtual one that is gone, once the virtual API server itself says so.
func (s *releases) up(ctx context.Context, p slot) error {
	if !s.madeFromVirtual(p.host) || p.host.GetDeletionTimestamp() != nil {
		return nil
	}
	cluster, namespaced, err := s.candidates(ctx, s.virtualLive, p.key)
	if err != nil || cluster != nil || namespaced != nil {
		return err
	}
	log.FromContext(ctx).Info("deleting the host Release of a virtual one that is gone", "release", p.key,
		"virtualUID", p.host.GetAnnotations()[platformv1alpha1.AnnotationVirtualUID])
	return remove(ctx, s.host, p.host)
}
