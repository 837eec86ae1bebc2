// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type slicePair = pair[discoveryv1.EndpointSlice, *discoveryv1.EndpointSlice]

var _ steps[discoveryv1.EndpointSlice, *discoveryv1.EndpointSlice] = (*endpointSlices)(nil)

// endpointSlices syncs the endpoints that somebody wrote down: for the virtual cluster's own
// Services down, for charts' Services up. What a Service selects each side computes from its own
// Pods, which are the same.
type endpointSlices struct{ *tenant }

func setupEndpointSlices(_ context.Context, mgr manager.Manager, t *tenant, _ served) error {
	s := &endpointSlices{t}
	ofService := func(b *builder.Builder) {
		b.Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(s.ofService), builder.WithPredicates(appearsOrChanges))
	}
	return setupKind(mgr, &reconciler[discoveryv1.EndpointSlice, *discoveryv1.EndpointSlice]{
		tenant: t, kind: "endpointslice", steps: s,
	}, 2, ofService)
}

// ofService are the EndpointSlices, on both sides, of a virtual Service: whether there is one decides about them.
func (s *endpointSlices) ofService(ctx context.Context, service client.Object) []reconcile.Request {
	label := client.MatchingLabels{discoveryv1.LabelServiceName: service.GetName()}
	names := sets.New[string]()
	add := func(from client.Reader, namespace string) {
		found := &discoveryv1.EndpointSliceList{}
		if err := from.List(ctx, found, client.InNamespace(namespace), label); err != nil {
			return // a cache only fails when it is stopping
		}
		for i := range found.Items {
			names.Insert(found.Items[i].Name)
		}
	}
	add(s.virtual, service.GetNamespace())
	if sp, _, err := s.spaces.lookup(ctx, service.GetNamespace()); err == nil && sp != nil {
		add(sp.cache, sp.host)
	}
	requests := make([]reconcile.Request, 0, len(names))
	for name := range names {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: service.GetNamespace(), Name: name}})
	}
	return requests
}

// down makes the host EndpointSlice, or ends the mirror of one that is gone.
func (s *endpointSlices) down(ctx context.Context, p slicePair) (reconcile.Result, error) {
	if mirroredSlice(p.virtual) {
		return reconcile.Result{}, s.dropMirror(ctx, p.virtual)
	}
	service, err := s.serviceOf(ctx, p.key.Namespace, p.virtual)
	if err != nil || !s.syncedSlice(p.virtual, service) || p.virtual.DeletionTimestamp != nil || p.space == nil {
		return reconcile.Result{}, err // the Service asks for the namespace
	}
	err = madeByNow(s.host.Create(ctx, s.hostSlice(p.virtual)))
	s.explain(p, err)
	if err != nil {
		err = fmt.Errorf("creating host EndpointSlice of %s: %w", p.key, err)
	}
	return reconcile.Result{}, err
}

// both follows changes in the direction of the owner.
func (s *endpointSlices) both(ctx context.Context, p slicePair) (reconcile.Result, error) {
	if !s.sliceFromVirtual(p.host) {
		if mirroredSlice(p.virtual) {
			return reconcile.Result{}, s.mirror(ctx, p)
		}
		return reconcile.Result{}, nil // each side's own: their names are generated and may meet
	}
	service, err := s.serviceOf(ctx, p.key.Namespace, p.virtual)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !s.syncedSlice(p.virtual, service) || p.host.AddressType != p.virtual.AddressType {
		return reconcile.Result{}, remove(ctx, s.host, p.host)
	}
	before := p.host.DeepCopy()
	s.mergeSlice(p.host, p.virtual)
	err = patch(ctx, s.host, p.host, before)
	s.explain(p, err)
	return reconcile.Result{}, err
}

// up removes the host EndpointSlice of a virtual one that is gone, or mirrors one of a chart's Service.
func (s *endpointSlices) up(ctx context.Context, p slicePair) (reconcile.Result, error) {
	if !s.sliceFromVirtual(p.host) {
		return reconcile.Result{}, s.mirror(ctx, p)
	}
	gone, err := virtualGone(ctx, s.tenant, p)
	if err != nil || !gone {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, remove(ctx, s.host, p.host)
}

// mirror shows a chart's EndpointSlice in the virtual cluster, as long as the chart's Service is there.
func (s *endpointSlices) mirror(ctx context.Context, p slicePair) error {
	service, err := s.serviceOf(ctx, p.key.Namespace, p.host)
	if err != nil {
		return err
	}
	offered := offeredSlice(p.host, service) && p.host.DeletionTimestamp == nil
	switch {
	case p.virtual == nil && !offered:
		return nil
	case p.virtual == nil:
		_, err := s.createMirror(ctx, mirrorSlice(p.key.Namespace, p.host))
		return err
	case !offered || p.virtual.AddressType != p.host.AddressType:
		return s.dropMirror(ctx, p.virtual) // an address type cannot change: the next event makes it anew
	}
	before := p.virtual.DeepCopy()
	mergeMirrorSlice(p.virtual, p.host)
	return patch(ctx, s.virtual, p.virtual, before)
}

// explain tells the user why the host refused.
func (s *endpointSlices) explain(p slicePair, err error) {
	if refused(err) {
		s.events.Eventf(p.virtual, nil, corev1.EventTypeWarning, "HostRefused", "Sync", "%s", message(err))
	}
}

// serviceOf reads the virtual Service that an EndpointSlice of either side belongs to; nil when there is none.
func (s *endpointSlices) serviceOf(ctx context.Context, namespace string, slice *discoveryv1.EndpointSlice) (*corev1.Service, error) {
	name := slice.Labels[discoveryv1.LabelServiceName]
	if name == "" {
		return nil, nil
	}
	return find[corev1.Service](ctx, s.virtual, types.NamespacedName{Namespace: namespace, Name: name})
}
