// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// syncTimeout is the longest wait for the first list of a kind.
const syncTimeout = 10 * time.Second

// liveObjects reads applied objects and wakes their Application when they change: one
// watch for each kind in use, of the objects that carry the label of an Application.
type liveObjects struct {
	cache      cache.Cache
	direct     client.Client
	controller controller.Controller

	mu      sync.Mutex
	watched map[schema.GroupVersionKind]bool
}

func newLiveObjects(cfg *rest.Config, mgr ctrl.Manager, direct client.Client) (*liveObjects, error) {
	isPart, err := labels.NewRequirement(oamv1.LabelAppName, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("selecting applied objects: %w", err)
	}
	c, err := cache.New(cfg, cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
		DefaultLabelSelector: labels.NewSelector().Add(*isPart),
		DefaultTransform:     cache.TransformStripManagedFields(),
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache of applied objects: %w", err)
	}
	if err := mgr.Add(c); err != nil {
		return nil, fmt.Errorf("adding the cache of applied objects: %w", err)
	}
	return &liveObjects{cache: c, direct: direct, watched: map[schema.GroupVersionKind]bool{}}, nil
}

// watch makes sure that changes of a kind wake the Applications that have such objects.
// When it returns, every later change does: an object that is applied next cannot
// change unseen.
func (l *liveObjects) watch(gvk schema.GroupVersionKind) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watched[gvk] {
		return nil
	}
	// Not source.Kind: that connects in the background.
	err := l.controller.Watch(source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		ctx, cancel := context.WithTimeout(ctx, syncTimeout)
		defer cancel()
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(gvk)
		informer, err := l.cache.GetInformer(ctx, o)
		if err != nil {
			return err
		}
		_, err = informer.AddEventHandler(wake(queue))
		return err
	}))
	if err != nil {
		return fmt.Errorf("watching %s: %w", gvk, err)
	}
	l.watched[gvk] = true
	return nil
}

// wake queues the Application that an object belongs or belonged to.
func wake(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) toolscache.ResourceEventHandler {
	add := func(o any) {
		if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
			o = gone.Obj
		}
		if u, ok := o.(*unstructured.Unstructured); ok {
			queue.Add(reconcile.Request{NamespacedName: owner(u)})
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    add,
		UpdateFunc: func(before, after any) { add(before); add(after) },
		DeleteFunc: add,
	}
}

// owner is the Application that an object says it belongs to.
func owner(o *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetLabels()[oamv1.LabelAppNamespace], Name: o.GetLabels()[oamv1.LabelAppName]}
}

// get returns an object from the watch's cache or, until that is filled, from the API
// server. The object is nil when it does not exist; it must not be changed.
func (l *liveObjects) get(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	informer, err := l.cache.GetInformer(ctx, empty(o), cache.BlockUntilSynced(false))
	if err != nil || !informer.HasSynced() {
		return l.getDirect(ctx, o)
	}
	return read(ctx, l.cache, o, &client.GetOptions{UnsafeDisableDeepCopy: shared.UnsafeDisableDeepCopy})
}

// getDirect returns an object as it is in the API server now, or nil.
func (l *liveObjects) getDirect(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return read(ctx, l.direct, o)
}

func read(ctx context.Context, from client.Reader, o *unstructured.Unstructured, opts ...client.GetOption) (*unstructured.Unstructured, error) {
	live := empty(o)
	err := from.Get(ctx, client.ObjectKeyFromObject(o), live, opts...)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s %s: %w", o.GetKind(), client.ObjectKeyFromObject(o), err)
	}
	return live, nil
}

func empty(o *unstructured.Unstructured) *unstructured.Unstructured {
	e := &unstructured.Unstructured{}
	e.SetGroupVersionKind(o.GroupVersionKind())
	return e
}
