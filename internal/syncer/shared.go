// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// sharedKind is a kind of the host that every virtual cluster sees and none may change.
type sharedKind struct {
	name      string
	object    func() client.Object
	namespace string // of both sides; empty for cluster-scoped kinds
	// translate makes the virtual object.
	translate func(host client.Object) client.Object
	// merge brings a virtual object to what is wanted.
	merge func(virtual, wanted client.Object)
	// mergeStatus does the same for the status subresource; nil for kinds without one.
	mergeStatus func(virtual, wanted client.Object)
}

func sharedKinds(has served) []sharedKind {
	kinds := []sharedKind{{
		name:        "node",
		object:      func() client.Object { return &corev1.Node{} },
		translate:   func(host client.Object) client.Object { return virtualNode(host.(*corev1.Node)) },
		merge:       func(virtual, wanted client.Object) { mergeNode(virtual.(*corev1.Node), wanted.(*corev1.Node)) },
		mergeStatus: func(virtual, wanted client.Object) { virtual.(*corev1.Node).Status = wanted.(*corev1.Node).Status },
	}, {
		name:      "storageclass",
		object:    func() client.Object { return &storagev1.StorageClass{} },
		translate: func(host client.Object) client.Object { return virtualStorageClass(host.(*storagev1.StorageClass)) },
		merge:     mergeStorageClass,
	}}
	for _, gvk := range has.definitions {
		kinds = append(kinds, sharedKind{
			name:      "definition",
			object:    func() client.Object { return untyped(gvk) },
			namespace: platformv1alpha1.DefinitionNamespace,
			translate: func(host client.Object) client.Object { return virtualDefinition(host.(*unstructured.Unstructured)) },
			merge:     mergeDefinition,
		})
	}
	return kinds
}

func mergeStorageClass(virtual, wanted client.Object) {
	to, from := virtual.(*storagev1.StorageClass), wanted.(*storagev1.StorageClass)
	kept := to.ObjectMeta
	*to = *from
	to.ObjectMeta = kept
	to.Labels, to.Annotations = from.Labels, from.Annotations
}

func mergeDefinition(virtual, wanted client.Object) {
	to, from := virtual.(*unstructured.Unstructured), wanted.(*unstructured.Unstructured)
	to.SetLabels(from.GetLabels())
	to.SetAnnotations(from.GetAnnotations())
	to.Object["spec"] = from.Object["spec"]
}

// sharedSync keeps one shared kind in the virtual cluster.
type sharedSync struct {
	*tenant
	sharedKind
}

func setupShared(_ context.Context, mgr manager.Manager, t *tenant, has served) error {
	if t.shared == nil {
		return nil
	}
	for _, kind := range sharedKinds(has) {
		s := &sharedSync{t, kind}
		b := builder.ControllerManagedBy(mgr).Named("syncer-"+kind.name).WithOptions(options(1)).
			WatchesRawSource(source.Func(s.watchHost)).
			Watches(kind.object(), &handler.EnqueueRequestForObject{}, builder.WithPredicates(predicate.NewPredicateFuncs(s.ours)))
		if err := b.Complete(s); err != nil {
			return err
		}
	}
	return nil
}

func (s *sharedSync) ours(obj client.Object) bool {
	return mirrored(obj) && (s.namespace == "" || obj.GetNamespace() == s.namespace)
}

// watchHost feeds the controller from the pool's informer, and leaves it when the tenant stops. What would
// not change the virtual object (a node's heartbeat) is not news.
func (s *sharedSync) watchHost(ctx context.Context, q queue) error {
	informer, err := s.shared.GetInformer(ctx, s.object(), cache.BlockUntilSynced(false))
	if meta.IsNoMatchError(err) {
		log.FromContext(ctx).Info("the host does not serve a shared kind", "kind", s.name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("watching the host's %ss: %w", s.name, err)
	}
	send := func(obj any) {
		if gone, isGone := obj.(toolscache.DeletedFinalStateUnknown); isGone {
			obj = gone.Obj
		}
		if object, isObject := obj.(client.Object); isObject && object.GetNamespace() == s.namespace {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)})
		}
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: send, DeleteFunc: send,
		UpdateFunc: func(before, after any) {
			a, isObject := before.(client.Object)
			b, both := after.(client.Object)
			if isObject && both && equality.Semantic.DeepEqual(s.translate(a), s.translate(b)) {
				return
			}
			send(after)
		},
	})
	if err != nil {
		return fmt.Errorf("watching the host's %ss: %w", s.name, err)
	}
	context.AfterFunc(ctx, func() { _ = informer.RemoveEventHandler(registration) }) // fails only for a stopped informer
	return nil
}

// Reconcile brings one object up.
func (s *sharedSync) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	start := time.Now()
	err := s.up(ctx, req.NamespacedName)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	observe(s.name, "up", start, err)
	return reconcile.Result{}, err
}

func (s *sharedSync) up(ctx context.Context, key types.NamespacedName) error {
	host, virtual := s.object(), s.object()
	hostErr := s.shared.Get(ctx, key, host)
	if client.IgnoreNotFound(hostErr) != nil {
		return fmt.Errorf("reading the host's %s %s: %w", s.name, key.Name, hostErr)
	}
	virtualErr := s.virtual.Get(ctx, key, virtual)
	if client.IgnoreNotFound(virtualErr) != nil {
		return fmt.Errorf("reading virtual %s %s: %w", s.name, key.Name, virtualErr)
	}
	switch {
	case hostErr != nil && virtualErr != nil:
		return nil
	case hostErr != nil:
		return s.dropMirror(ctx, virtual)
	case virtualErr != nil:
		return s.create(ctx, s.translate(host))
	case !mirrored(virtual):
		return nil // somebody's own object of the name
	}
	return s.update(ctx, virtual, s.translate(host))
}

func (s *sharedSync) create(ctx context.Context, wanted client.Object) error {
	virtual := wanted.DeepCopyObject().(client.Object)
	err := s.virtual.Create(ctx, virtual)
	if apierrors.IsNotFound(err) && s.namespace != "" {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
		if err := s.virtual.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating virtual namespace %s: %w", s.namespace, err)
		}
		err = s.virtual.Create(ctx, virtual)
	}
	if apierrors.IsAlreadyExists(err) {
		return nil // its event is on the way
	}
	if err != nil {
		return fmt.Errorf("creating virtual %s %s: %w", s.name, wanted.GetName(), err)
	}
	return s.update(ctx, virtual, wanted)
}

func (s *sharedSync) update(ctx context.Context, virtual, wanted client.Object) error {
	before := virtual.DeepCopyObject().(client.Object)
	s.merge(virtual, wanted)
	if err := patch(ctx, s.virtual, virtual, before); err != nil || s.mergeStatus == nil {
		return err
	}
	before = virtual.DeepCopyObject().(client.Object)
	s.mergeStatus(virtual, wanted)
	return patchStatus(ctx, s.virtual, virtual, before)
}
