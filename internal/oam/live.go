// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

type requests = workqueue.TypedRateLimitingInterface[reconcile.Request]

// liveObjects knows the versions of applied objects and wakes their Application when they
// change. There is one watch for each kind that some Application has objects of, and none
// without; it holds the metadata of objects that carry the label of an Application.
type liveObjects struct {
	cache  cache.Cache
	direct client.Client
	// ctx and queue are the controller's; start sets them before the first reconcile.
	ctx   context.Context
	queue requests

	mu    sync.Mutex
	kinds map[schema.GroupVersionKind]*watchedKind
	// unserved are the Applications that wait for a kind; see unserved.go.
	unserved waitingForKinds
}

type watchedKind struct {
	users map[types.NamespacedName]bool
	stop  context.CancelFunc
}

func newLiveObjects(cfg *rest.Config, mgr ctrl.Manager, direct client.Client) (*liveObjects, error) {
	isPart, err := labels.NewRequirement(oamv1.LabelAppName, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("selecting applied objects: %w", err)
	}
	c, err := cache.New(cfg, cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
		DefaultLabelSelector: labels.NewSelector().Add(*isPart),
		DefaultTransform:     identityOnly,
		ByObject: map[client.Object]cache.ByObject{
			metadata(crdKind): {Label: labels.Everything()}, metadata(apiServiceKind): {Label: labels.Everything()},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache of applied objects: %w", err)
	}
	if err := mgr.Add(c); err != nil {
		return nil, fmt.Errorf("adding the cache of applied objects: %w", err)
	}
	return &liveObjects{
		cache: c, direct: direct, kinds: map[schema.GroupVersionKind]*watchedKind{},
		unserved: waitingForKinds{groups: map[types.NamespacedName]string{}},
	}, nil
}

// identityOnly keeps of an object what wake and version need.
func identityOnly(o any) (any, error) {
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return o, nil
	}
	kept := map[string]string{}
	for _, label := range []string{oamv1.LabelAppName, oamv1.LabelAppNamespace} {
		if v, ok := m.Labels[label]; ok {
			kept[label] = v
		}
	}
	m.ObjectMeta = metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion, Labels: kept,
	}
	return m, nil
}

func metadata(gvk schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(gvk)
	return o
}

// start implements source.Func.
func (l *liveObjects) start(ctx context.Context, queue requests) error {
	l.ctx, l.queue = ctx, queue
	return nil
}

// watch makes sure that changes of a kind wake the Applications that have such objects,
// for as long as app or another one needs it. The watch connects in the background; once
// it has, its users are woken, so that nothing that happens before goes unseen.
func (l *liveObjects) watch(app types.NamespacedName, gvk schema.GroupVersionKind) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, ok := l.kinds[gvk]; ok {
		k.users[app] = true
		return nil
	}
	informer, err := l.cache.GetInformer(l.ctx, metadata(gvk), cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching %s: %w", gvk, err)
	}
	handler := l.wake()
	if gvk == crdKind || gvk == apiServiceKind {
		handler = l.wakeWaiting()
	}
	registration, err := informer.AddEventHandler(handler)
	if err != nil {
		return fmt.Errorf("watching %s: %w", gvk, err)
	}
	ctx, stop := context.WithCancel(l.ctx)
	l.kinds[gvk] = &watchedKind{users: map[types.NamespacedName]bool{app: true}, stop: stop}
	go func() {
		if toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			l.wakeUsers(gvk)
		}
	}()
	return nil
}

func (l *liveObjects) wakeUsers(gvk schema.GroupVersionKind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, ok := l.kinds[gvk]; ok {
		for app := range k.users {
			l.queue.Add(reconcile.Request{NamespacedName: app})
		}
	}
}

// keep says that an Application needs these kinds and no others. What nobody needs any
// more is no longer watched.
func (l *liveObjects) keep(app types.NamespacedName, needed map[schema.GroupVersionKind]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for gvk, k := range l.kinds {
		if needed[gvk] || !k.users[app] {
			continue
		}
		delete(k.users, app)
		if len(k.users) > 0 {
			continue
		}
		k.stop()
		delete(l.kinds, gvk)
		if err := l.cache.RemoveInformer(l.ctx, metadata(gvk)); err != nil {
			ctrl.LoggerFrom(l.ctx).Error(err, "Stopping a watch", "kind", gvk)
		}
	}
}

// wake queues the Application that an object belongs or belonged to.
func (l *liveObjects) wake() toolscache.ResourceEventHandler {
	add := func(o any) {
		if m := asMetadata(o); m != nil {
			l.queue.Add(reconcile.Request{NamespacedName: owner(m)})
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    add,
		UpdateFunc: func(before, after any) { add(before); add(after) },
		DeleteFunc: add,
	}
}

func asMetadata(o any) *metav1.PartialObjectMetadata {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	m, _ := o.(*metav1.PartialObjectMetadata)
	return m
}

// owner is the Application that an object says it belongs to.
func owner(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetLabels()[oamv1.LabelAppNamespace], Name: o.GetLabels()[oamv1.LabelAppName]}
}

// version is an object's resourceVersion as the watch knows it: "" when it does not exist, or
// false when the watch does not know.
func (l *liveObjects) version(ctx context.Context, o *unstructured.Unstructured) (string, bool) {
	m := metadata(o.GroupVersionKind())
	informer, err := l.cache.GetInformer(ctx, m, cache.BlockUntilSynced(false))
	if err != nil || !informer.HasSynced() {
		return "", false
	}
	err = l.cache.Get(ctx, client.ObjectKeyFromObject(o), m, &client.GetOptions{UnsafeDisableDeepCopy: shared.UnsafeDisableDeepCopy})
	if apierrors.IsNotFound(err) {
		return "", true
	}
	return m.ResourceVersion, err == nil
}

// get returns an object as it is in the API server now, or nil.
func (l *liveObjects) get(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	err := l.direct.Get(ctx, client.ObjectKeyFromObject(o), live)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s %s: %w", o.GetKind(), client.ObjectKeyFromObject(o), err)
	}
	return live, nil
}
