// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// syncPatience is how long a host namespace may take to be read before its opening is tried again.
const syncPatience = time.Minute

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// subscription is one controller's interest in a kind of host object.
type subscription struct {
	object client.Object // the host kind
	// hostKeys are the requests that an event on a host object makes.
	hostKeys func(namespace string, obj client.Object) []reconcile.Request
	// virtualKeys are the requests for everything that the virtual namespace has of
	// the kind; asked when the host namespace opens or is gone.
	virtualKeys func(ctx context.Context, namespace string) ([]reconcile.Request, error)
	queue       queue
}

// source feeds a controller with the host's events.
func (s *spaces) source(sub subscription) source.Source {
	return source.Func(func(ctx context.Context, q queue) error {
		sub.queue = q
		s.mu.Lock()
		defer s.mu.Unlock()
		s.subscriptions = append(s.subscriptions, &sub)
		for _, sp := range s.open {
			if err := s.watch(ctx, sp, &sub); err != nil {
				return err
			}
		}
		return nil
	})
}

// watch has a space's events sent to a subscriber.
func (s *spaces) watch(ctx context.Context, sp *space, sub *subscription) error {
	informer, err := sp.cache.GetInformer(ctx, sub.object, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching %T in host namespace %s: %w", sub.object, sp.host, err)
	}
	send := func(obj any) {
		if gone, isGone := obj.(toolscache.DeletedFinalStateUnknown); isGone {
			obj = gone.Obj
		}
		if object, isObject := obj.(client.Object); isObject {
			for _, request := range sub.hostKeys(sp.virtual, object) {
				sub.queue.Add(request)
			}
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: send, DeleteFunc: send,
		UpdateFunc: func(before, after any) {
			if unchanged(before, after) {
				return
			}
			send(after)
		},
	})
	return err
}

func unchanged(before, after any) bool {
	a, isObject := before.(client.Object)
	b, both := after.(client.Object)
	return isObject && both && a.GetResourceVersion() == b.GetResourceVersion()
}

// openSpace starts watching a host namespace, as long as life, and once everything there is known has
// every subscriber look at everything in it.
func (s *spaces) openSpace(ctx, life context.Context, namespace string) error {
	s.mu.Lock()
	_, isOpen := s.open[namespace]
	subs := slices.Clone(s.subscriptions)
	s.mu.Unlock()
	if isOpen {
		return nil
	}
	if err := s.enter(ctx, namespace); err != nil {
		return err
	}
	sp, err := s.newSpace(life, namespace)
	if err != nil {
		return err
	}
	for _, sub := range subs {
		if err := s.watch(ctx, sp, sub); err != nil {
			sp.cancel()
			return err
		}
	}
	// Not for ever: a namespace that goes meanwhile, or a kind that the tenant may not read, is never there.
	patient, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	if !sp.cache.WaitForCacheSync(patient) {
		sp.cancel()
		return fmt.Errorf("reading host namespace %s: stopped before everything was there", sp.host)
	}
	subs, err = s.admit(ctx, sp, len(subs))
	if err == nil {
		err = s.announce(ctx, sp, subs)
	}
	if err != nil {
		s.forget(namespace)
	}
	return err
}

// admit lets lookup find a space, and gives the subscribers, with those that came after the first known.
func (s *spaces) admit(ctx context.Context, sp *space, known int) ([]*subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		sp.cancel()
		return nil, nil
	}
	s.open[sp.virtual] = sp
	for _, sub := range s.subscriptions[known:] {
		if err := s.watch(ctx, sp, sub); err != nil {
			return nil, err
		}
	}
	return slices.Clone(s.subscriptions), nil
}

// forget ends a space's watches.
func (s *spaces) forget(namespace string) []*subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.open[namespace]
	delete(s.open, namespace)
	delete(s.granted, namespace)
	if sp == nil {
		return nil
	}
	sp.cancel()
	return slices.Clone(s.subscriptions)
}

// end remembers that a VirtualNamespace is gone: who waits for word about it is told by closeSpace, also when
// the host namespace was never open.
func (s *spaces) end(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended[namespace] = true
}

// closeSpace forgets a host namespace that is gone, and has every subscriber look at what the virtual
// namespace still has.
func (s *spaces) closeSpace(ctx context.Context, namespace string) error {
	subs := s.forget(namespace)
	s.mu.Lock()
	if s.ended[namespace] {
		subs = slices.Clone(s.subscriptions)
	}
	delete(s.ended, namespace)
	s.mu.Unlock()
	for _, sub := range subs {
		if err := announceVirtual(ctx, sub, namespace); err != nil {
			return err
		}
	}
	return nil
}

// announce enqueues everything that both sides have.
func (s *spaces) announce(ctx context.Context, sp *space, subs []*subscription) error {
	for _, sub := range subs {
		objects, err := listObjects(ctx, sp.cache, sub.object, client.InNamespace(sp.host))
		if err != nil {
			return err
		}
		for _, object := range objects {
			for _, request := range sub.hostKeys(sp.virtual, object) {
				sub.queue.Add(request)
			}
		}
		if err := announceVirtual(ctx, sub, sp.virtual); err != nil {
			return err
		}
	}
	return nil
}

func announceVirtual(ctx context.Context, sub *subscription, namespace string) error {
	requests, err := sub.virtualKeys(ctx, namespace)
	if err != nil {
		return err
	}
	for _, request := range requests {
		sub.queue.Add(request)
	}
	return nil
}

// newSpace makes a space and starts its cache, which lives as long as life.
func (s *spaces) newSpace(life context.Context, namespace string) (*space, error) {
	host := s.hostNamespace(namespace)
	c, err := cache.New(s.config, cache.Options{
		HTTPClient: s.http, Scheme: scheme, Mapper: restMapper(),
		DefaultNamespaces: map[string]cache.Config{host: {}},
		DefaultTransform:  keepOwnFields,
		ByObject: map[client.Object]cache.ByObject{
			// Helm's release records are large, many, and nobody's business here.
			&corev1.Secret{}: {Field: fields.OneTermNotEqualSelector("type", helmStorageType)},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache of host namespace %s: %w", host, err)
	}
	life, cancel := context.WithCancel(life)
	go func() { _ = c.Start(life) }() // returns nil when the context ends
	return &space{virtual: namespace, host: host, cache: c, cancel: cancel}, nil
}

func isReady(vns *platformv1alpha1.VirtualNamespace) bool {
	return status.IsTrue(vns.Status.Conditions, platformv1alpha1.ConditionReady)
}
