// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
	"github.com/skerry-platform/skerry/internal/requeue"
)

// drainWorkers is how many virtual clusters are drained at a time; a worker only waits.
const drainWorkers = 64

// SetupWithManager adds the controllers of VirtualCluster and VirtualNamespace.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	opts.complete()
	made, err := madeObjects(mgr)
	if err != nil {
		return fmt.Errorf("configuring the cache of the objects around virtual clusters: %w", err)
	}
	if err := mgr.Add(made); err != nil {
		return err
	}
	s := store{Client: made.GetClient(), direct: made.GetAPIReader()}
	for _, setup := range []func(ctrl.Manager, cache.Cache, store, Options) error{
		setupClusters, setupDrainer, setupNamespaces, setupQuotas,
	} {
		if err := setup(mgr, made.GetCache(), s, opts); err != nil {
			return err
		}
	}
	return nil
}

// madeObjects is a view of the host that holds only what this package made.
func madeObjects(mgr ctrl.Manager) (cluster.Cluster, error) {
	config := rest.CopyConfig(mgr.GetConfig())
	config.QPS = -1 // the API server's priority and fairness is the limit
	ours, err := k8slabels.Parse(labelManagedBy + "=" + managedBy)
	if err != nil {
		return nil, err
	}
	return cluster.New(config, func(o *cluster.Options) {
		o.Scheme = mgr.GetScheme()
		o.MapperProvider = func(*rest.Config, *http.Client) (apimeta.RESTMapper, error) { return mgr.GetRESTMapper(), nil }
		o.Cache.DefaultLabelSelector = ours
		o.Cache.DefaultTransform = cache.TransformStripManagedFields()
		// Refusals of a quota, whoever was refused; see quota.ReportRefusals.
		o.Cache.ByObject = map[client.Object]cache.ByObject{&corev1.Event{}: {
			Label: k8slabels.Everything(), Field: fields.OneTermEqualSelector("reason", quota.EventReason), Transform: keepRefusals,
		}}
		o.Client.Cache = &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}
	})
}

func setupClusters(mgr ctrl.Manager, made cache.Cache, s store, opts Options) error {
	r := &clusterReconciler{client: mgr.GetClient(), store: s, opts: opts, clock: clock.RealClock{}, events: mgr.GetEventRecorder(managedBy)}
	b := ctrl.NewControllerManagedBy(mgr).Named("virtualcluster").
		For(&v1alpha1.VirtualCluster{}, builder.WithPredicates(quota.BesidesUsage())).
		Watches(&v1alpha1.VirtualNamespace{}, handler.EnqueueRequestsFromMapFunc(ownerOfVirtualNamespace), builder.WithPredicates(whileDeleting())).
		WithOptions(options(opts.Concurrency))
	for _, o := range []client.Object{&corev1.Namespace{}, &corev1.Service{}, &corev1.ServiceAccount{}, &rbacv1.RoleBinding{}, secretMeta()} {
		b = b.WatchesRawSource(source.Kind(made, o, handler.EnqueueRequestsFromMapFunc(ownerOfHomeObject)))
	}
	return b.Complete(r)
}

// secretMeta stands for the two Secrets of each virtual cluster; only their metadata is cached.
func secretMeta() client.Object {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return o
}

func setupDrainer(mgr ctrl.Manager, _ cache.Cache, s store, opts Options) error {
	d := &drainer{client: mgr.GetClient(), store: s, opts: opts, clock: clock.RealClock{}}
	wanted := predicate.NewPredicateFuncs(func(o client.Object) bool {
		vc, ok := o.(*v1alpha1.VirtualCluster)
		return ok && wantsDrain(vc)
	})
	return ctrl.NewControllerManagedBy(mgr).Named("virtualcluster-drain").
		For(&v1alpha1.VirtualCluster{}, builder.WithPredicates(wanted)).
		WithOptions(options(drainWorkers)).Complete(d)
}

func setupNamespaces(mgr ctrl.Manager, made cache.Cache, s store, opts Options) error {
	r := &namespaceReconciler{client: mgr.GetClient(), store: s, opts: opts, events: mgr.GetEventRecorder(managedBy)}
	b := ctrl.NewControllerManagedBy(mgr).Named("virtualnamespace").
		For(&v1alpha1.VirtualNamespace{}).
		Watches(&v1alpha1.VirtualCluster{}, handler.EnqueueRequestsFromMapFunc(r.namespacesOf), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(releaseMeta(), handler.EnqueueRequestsFromMapFunc(r.ownerOfRelease), builder.WithPredicates(deleted())).
		WithOptions(options(opts.Concurrency))
	for _, o := range []client.Object{
		&corev1.Namespace{}, &rbacv1.RoleBinding{}, &networkingv1.NetworkPolicy{}, &corev1.ResourceQuota{}, &corev1.LimitRange{},
	} {
		b = b.WatchesRawSource(source.Kind(made, o, handler.EnqueueRequestsFromMapFunc(ownerOfHostObject)))
	}
	return b.Complete(r)
}

func setupQuotas(mgr ctrl.Manager, made cache.Cache, s store, opts Options) error {
	r := &quotaReconciler{
		client: mgr.GetClient(), store: s, clock: clock.RealClock{}, wrote: map[string]time.Time{}, served: map[types.UID]time.Time{}, events: mgr.GetEventRecorder(managedBy),
	}
	b := ctrl.NewControllerManagedBy(mgr).Named("virtualcluster-quota").
		For(&v1alpha1.VirtualCluster{}).
		WithOptions(options(opts.Concurrency))
	for _, o := range []client.Object{&corev1.Namespace{}, &corev1.ResourceQuota{}} {
		b = b.WatchesRawSource(source.Kind(made, o, handler.EnqueueRequestsFromMapFunc(clusterOfHostObject)))
	}
	return b.WatchesRawSource(source.Kind(made, client.Object(&corev1.Event{}), handler.EnqueueRequestsFromMapFunc(r.clusterOfRefusal))).Complete(r)
}

// keepRefusals drops what is not needed of an Event, and the words of those that tell of
// no refused share.
func keepRefusals(o any) (any, error) {
	e, ok := o.(*corev1.Event)
	if !ok {
		return o, nil
	}
	e.ManagedFields, e.Annotations, e.Labels, e.Related = nil, nil, nil, nil
	if _, refused := quota.ParseRefusal(e.Message); !refused {
		e.Message = ""
	}
	return e, nil
}

func options(concurrency int) controller.Options {
	return controller.Options{MaxConcurrentReconciles: concurrency, SkipNameValidation: ptr.To(true), RateLimiter: requeue.Limiter()}
}

// ownerOfHomeObject maps an object of a home namespace to its VirtualCluster.
func ownerOfHomeObject(_ context.Context, o client.Object) []reconcile.Request {
	l := o.GetLabels()
	if l[v1alpha1.LabelVirtualCluster] == "" || l[v1alpha1.LabelVirtualNamespace] != "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: l[v1alpha1.LabelVirtualCluster]}}}
}

// ownerOfHostObject maps a host namespace, or an object in one, to its VirtualNamespace.
func ownerOfHostObject(_ context.Context, o client.Object) []reconcile.Request {
	l := o.GetLabels()
	if l[v1alpha1.LabelVirtualNamespace] == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{
		Namespace: l[v1alpha1.LabelVirtualCluster], Name: l[v1alpha1.LabelVirtualNamespace],
	}}}
}

// clusterOfHostObject maps a host namespace, or an object in one, to its VirtualCluster.
func clusterOfHostObject(_ context.Context, o client.Object) []reconcile.Request {
	if o.GetLabels()[v1alpha1.LabelVirtualNamespace] == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.GetLabels()[v1alpha1.LabelVirtualCluster]}}}
}

// clusterOfRefusal maps an Event that tells of a refused share to its VirtualCluster.
func (r *quotaReconciler) clusterOfRefusal(ctx context.Context, o client.Object) []reconcile.Request {
	if e, ok := o.(*corev1.Event); !ok || e.Message == "" {
		return nil
	}
	ns := &corev1.Namespace{}
	if err := r.store.Get(ctx, client.ObjectKey{Name: o.GetNamespace()}, ns); err != nil {
		return nil // not a host namespace of ours
	}
	return clusterOfHostObject(ctx, ns)
}

func ownerOfVirtualNamespace(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.GetNamespace()}}}
}

// namespacesOf maps a VirtualCluster, whose quota may have changed, to its VirtualNamespaces.
func (r *namespaceReconciler) namespacesOf(ctx context.Context, o client.Object) []reconcile.Request {
	list := &v1alpha1.VirtualNamespaceList{}
	if err := r.client.List(ctx, list, client.InNamespace(o.GetName())); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing VirtualNamespaces", "virtualCluster", o.GetName())
		return nil
	}
	out := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}

// ownerOfRelease maps a Release that is gone to the VirtualNamespace that may wait for it.
func (r *namespaceReconciler) ownerOfRelease(ctx context.Context, o client.Object) []reconcile.Request {
	ns := &corev1.Namespace{}
	if err := r.store.Get(ctx, client.ObjectKey{Name: o.GetNamespace()}, ns); err != nil {
		return nil // not a host namespace of ours
	}
	return ownerOfHostObject(ctx, ns)
}

// whileDeleting passes the end of an object and changes of one that is being deleted.
func whileDeleting() predicate.Predicate {
	p := predicate.NewPredicateFuncs(func(o client.Object) bool { return !o.GetDeletionTimestamp().IsZero() })
	return predicate.Or(p, deleted())
}

func deleted() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
