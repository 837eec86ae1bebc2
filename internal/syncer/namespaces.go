// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// namespaces asks the operator for a host namespace when the first object of a virtual
// namespace needs one, and gives it back when the virtual namespace goes.
type namespaces struct {
	*tenant
	life context.Context // of the watches on host namespaces
	has  served
}

func setupNamespaces(ctx context.Context, mgr manager.Manager, t *tenant, has served) error {
	n := &namespaces{tenant: t, life: ctx, has: has}
	inNamespace := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: obj.GetNamespace()}}}
	})
	b := builder.ControllerManagedBy(mgr).Named("syncer-namespace").WithOptions(options(4)).
		Watches(&corev1.Namespace{}, &handler.EnqueueRequestForObject{}).
		WatchesRawSource(source.Func(n.watchHome)).
		// The last object to go lets the namespace go.
		Watches(&corev1.Pod{}, inNamespace, builder.WithPredicates(onlyDeletes)).
		Watches(&corev1.Service{}, inNamespace, builder.WithPredicates(onlyDeletes)).
		Watches(&corev1.PersistentVolumeClaim{}, inNamespace, builder.WithPredicates(onlyDeletes))
	if has.namespacedReleases {
		b = b.Watches(untyped(namespacedReleaseKind), inNamespace, builder.WithPredicates(onlyDeletes))
	}
	return b.Complete(n)
}

// watchHome feeds the controller with VirtualNamespaces and with what other kinds ask for.
func (n *namespaces) watchHome(ctx context.Context, q queue) error {
	n.spaces.onWanted(func(namespace string) {
		q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: namespace}})
	})
	byName := handler.TypedFuncs[*platformv1alpha1.VirtualNamespace, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*platformv1alpha1.VirtualNamespace], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: e.Object.Name}})
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*platformv1alpha1.VirtualNamespace], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: e.ObjectNew.Name}})
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*platformv1alpha1.VirtualNamespace], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			n.spaces.end(e.Object.Name)
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: e.Object.Name}})
		},
	}
	return source.TypedKind(n.spaces.home, &platformv1alpha1.VirtualNamespace{}, byName).Start(ctx, q)
}

// Reconcile brings one namespace's VirtualNamespace and watches to what the virtual namespace needs.
func (n *namespaces) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	err := n.reconcile(ctx, req)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	return reconcile.Result{}, err
}

func (n *namespaces) reconcile(ctx context.Context, req reconcile.Request) error {
	name := req.Name
	virtual, err := find[corev1.Namespace](ctx, n.virtual, req.NamespacedName)
	if err != nil {
		return err
	}
	vns, err := find[platformv1alpha1.VirtualNamespace](ctx, n.spaces.home, n.spaces.key(name))
	if err != nil {
		return err
	}
	switch {
	case virtual == nil && vns == nil:
		if err := n.unwantGone(ctx, name); err != nil {
			return err
		}
		return n.spaces.closeSpace(ctx, name)
	case virtual == nil:
		return n.orphan(ctx, name, vns)
	case vns == nil:
		return n.absent(ctx, virtual)
	default:
		return n.present(ctx, virtual, vns)
	}
}

// orphan gives back the host namespace of a virtual namespace that does not exist (any more).
func (n *namespaces) orphan(ctx context.Context, name string, vns *platformv1alpha1.VirtualNamespace) error {
	live, err := find[corev1.Namespace](ctx, n.virtualLive, types.NamespacedName{Name: name})
	if err != nil || live != nil || vns.DeletionTimestamp != nil {
		return err
	}
	log.FromContext(ctx).Info("deleting the host namespace of a virtual namespace that is gone", "namespace", name, "hostNamespace", n.hostNamespace(name))
	return remove(ctx, n.host, vns)
}

// absent handles a virtual namespace that has nothing on the host.
func (n *namespaces) absent(ctx context.Context, virtual *corev1.Namespace) error {
	name := virtual.Name
	if err := n.spaces.closeSpace(ctx, name); err != nil {
		return err
	}
	if virtual.DeletionTimestamp != nil {
		if err := n.unwantGone(ctx, name); err != nil {
			return err
		}
		vns, err := n.spaces.virtualNamespace(ctx, name) // the cache may be behind a VirtualNamespace just made
		if err != nil || vns != nil {
			return err
		}
		return n.dropFinalizer(ctx, virtual)
	}
	if !n.spaces.isWanted(name) {
		return nil
	}
	// In this order, so that no host namespace is ever left behind.
	if err := n.addFinalizer(ctx, virtual); err != nil {
		return err
	}
	return n.spaces.create(ctx, name)
}

// unwantGone forgets that a namespace that ends was wanted. What wants one that was just made may be in its cache
// before that one is: then the namespace's own event is on the way, and must find it wanted.
func (n *namespaces) unwantGone(ctx context.Context, name string) error {
	if !n.spaces.unwant(name) {
		return nil
	}
	live, err := find[corev1.Namespace](ctx, n.virtualLive, types.NamespacedName{Name: name})
	if err != nil || (live != nil && live.DeletionTimestamp == nil) {
		n.spaces.want(name)
	}
	return err
}

// present handles a virtual namespace with a VirtualNamespace.
func (n *namespaces) present(ctx context.Context, virtual *corev1.Namespace, vns *platformv1alpha1.VirtualNamespace) error {
	name := virtual.Name
	if isReady(vns) {
		if err := n.spaces.openSpace(ctx, n.life, name); err != nil {
			return err
		}
		n.spaces.unwant(name)
	}
	if virtual.DeletionTimestamp == nil {
		return n.addFinalizer(ctx, virtual)
	}
	if vns.DeletionTimestamp != nil {
		return nil // its end is the next event
	}
	left, err := n.remaining(ctx, name)
	if err != nil {
		return err
	}
	if left > 0 {
		log.FromContext(ctx).V(1).Info("virtual namespace still has objects", "namespace", name, "objects", left)
		return nil // their deletions are the next events
	}
	live, err := find[corev1.Namespace](ctx, n.virtualLive, types.NamespacedName{Name: name})
	if err != nil || live == nil || live.UID != virtual.UID {
		return err // the host namespace is perhaps of one that was made anew: its event is the next
	}
	log.FromContext(ctx).Info("giving the host namespace back", "namespace", name, "hostNamespace", n.hostNamespace(name))
	return remove(ctx, n.host, vns)
}

// remaining counts the objects in a virtual namespace that still have their own host
// objects. Mirrored ones go when the host namespace goes.
func (n *namespaces) remaining(ctx context.Context, namespace string) (int, error) {
	kinds := []client.Object{&corev1.Pod{}, &corev1.Service{}, &corev1.PersistentVolumeClaim{}}
	if n.has.namespacedReleases {
		kinds = append(kinds, untyped(namespacedReleaseKind))
	}
	count := 0
	for _, kind := range kinds {
		objects, err := listObjects(ctx, n.virtual, kind, client.InNamespace(namespace))
		if err != nil {
			return 0, fmt.Errorf("looking what is left in namespace %s: %w", namespace, err)
		}
		for _, object := range objects {
			if !mirrored(object) {
				count++
			}
		}
	}
	return count, nil
}

func untyped(kind schema.GroupVersionKind) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	return obj
}
