// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// eventSync brings host events about synced and mirrored objects up. There is no down: the virtual
// cluster's own events are about the virtual cluster.
type eventSync struct {
	*tenant
	has     served
	started time.Time
}

func setupEvents(_ context.Context, mgr manager.Manager, t *tenant, has served) error {
	s := &eventSync{tenant: t, has: has, started: time.Now()}
	b := builder.ControllerManagedBy(mgr).Named("syncer-event").WithOptions(options(2)).
		WatchesRawSource(t.spaces.source(subscription{
			object:      &corev1.Event{},
			hostKeys:    hostEventKey,
			virtualKeys: func(context.Context, string) ([]reconcile.Request, error) { return nil, nil },
		}))
	// An event may come before the mirror of what it is about, or before a Service, whose host Service is made first.
	about := handler.EnqueueRequestsFromMapFunc(s.about)
	b = b.Watches(&corev1.Service{}, about, builder.WithPredicates(onlyCreates))
	for _, kind := range []client.Object{&corev1.Pod{}, &corev1.PersistentVolumeClaim{}, &networkingv1.Ingress{}} {
		b = b.Watches(kind, about, builder.WithPredicates(onlyCreates, predicate.NewPredicateFuncs(func(obj client.Object) bool { return mirrored(obj) })))
	}
	return b.Complete(s)
}

// hostEventKey keeps events about kinds that nobody sees out of the queue.
func hostEventKey(namespace string, obj client.Object) []reconcile.Request {
	event, isEvent := obj.(*corev1.Event)
	if !isEvent || !eventKinds[event.InvolvedObject.Kind] {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: event.Name}}}
}

// about lists the host events about an object.
func (s *eventSync) about(ctx context.Context, obj client.Object) []reconcile.Request {
	sp, state, err := s.spaces.lookup(ctx, obj.GetNamespace())
	if err != nil || state != spaceOpen {
		return nil
	}
	events := &corev1.EventList{}
	if err := sp.cache.List(ctx, events, client.InNamespace(sp.host)); err != nil {
		return nil // the cache only fails when it is stopping
	}
	var requests []reconcile.Request
	for i := range events.Items {
		if events.Items[i].InvolvedObject.Name == obj.GetName() {
			requests = append(requests, hostEventKey(sp.virtual, &events.Items[i])...)
		}
	}
	return requests
}

// Reconcile writes one host event into the virtual cluster.
func (s *eventSync) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	sp, state, err := s.spaces.lookup(ctx, req.Namespace)
	if err != nil || state != spaceOpen {
		return reconcile.Result{}, err
	}
	host, err := find[corev1.Event](ctx, sp.cache, types.NamespacedName{Namespace: sp.host, Name: req.Name})
	if err != nil || host == nil {
		return reconcile.Result{}, err // gone by age: the virtual one ages by itself
	}
	start := time.Now()
	err = s.up(ctx, sp, host)
	observe("event", "up", start, err)
	return reconcile.Result{}, err
}

// up creates the virtual event, or brings its count up to date.
func (s *eventSync) up(ctx context.Context, sp *space, host *corev1.Event) error {
	target, err := s.target(ctx, sp, host)
	if err != nil || target == nil {
		return err
	}
	event := s.virtualEvent(sp.virtual, host, *target)
	err = s.virtual.Create(ctx, event.DeepCopy())
	if err == nil || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err) {
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("writing event %s about %s %s: %w", event.Name, event.InvolvedObject.Kind, event.InvolvedObject.Name, err)
	}
	if lastSeen(host).Time.Before(s.started.Add(-time.Minute)) {
		return nil // written before a restart
	}
	return s.recount(ctx, event)
}

// recount writes how often and when an event was last seen.
func (s *eventSync) recount(ctx context.Context, event *corev1.Event) error {
	have := &corev1.Event{}
	if err := s.virtualLive.Get(ctx, client.ObjectKeyFromObject(event), have); err != nil {
		return client.IgnoreNotFound(err)
	}
	before := have.DeepCopy()
	have.Count, have.Series, have.Message = event.Count, event.Series, event.Message
	have.LastTimestamp = event.LastTimestamp
	return client.IgnoreNotFound(patch(ctx, s.virtual, have, before))
}

// target finds the virtual object that a host event is about; nil when there is none (yet).
func (s *eventSync) target(ctx context.Context, sp *space, event *corev1.Event) (*eventTarget, error) {
	key := types.NamespacedName{Namespace: sp.virtual, Name: event.InvolvedObject.Name}
	var obj client.Object
	switch event.InvolvedObject.Kind {
	case "Pod":
		obj = &corev1.Pod{}
	case "Service":
		obj = &corev1.Service{}
	case "PersistentVolumeClaim":
		obj = &corev1.PersistentVolumeClaim{}
	case "Ingress":
		obj = &networkingv1.Ingress{}
	case "Release":
		return s.releaseTarget(ctx, key, event)
	default:
		return nil, nil
	}
	if err := s.virtual.Get(ctx, key, obj); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return &eventTarget{namespace: key.Namespace, uid: obj.GetUID()}, nil
}

// releaseTarget finds the virtual Release, of either kind, behind a host Release.
func (s *eventSync) releaseTarget(ctx context.Context, key types.NamespacedName, event *corev1.Event) (*eventTarget, error) {
	if !strings.HasPrefix(event.InvolvedObject.APIVersion, namespacedReleaseKind.Group+"/") {
		return nil, nil
	}
	releases, err := s.releasesInto(ctx, key.Namespace, s.has)
	for _, release := range releases {
		if release.GetName() == key.Name {
			return &eventTarget{apiVersion: release.GetAPIVersion(), namespace: release.GetNamespace(), uid: release.GetUID()}, nil
		}
	}
	return nil, err
}
