// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type slicePair = pair[discoveryv1.EndpointSlice, *discoveryv1.EndpointSlice]

var _ steps[discoveryv1.EndpointSlice, *discoveryv1.EndpointSlice] = (*endpointSlices)(nil)

// endpointSlices syncs, for Services without a selector, the endpoints that somebody wrote
// down. The endpoints of every other Service each side computes from its own Pods, which are the same.
type endpointSlices struct{ *tenant }

func setupEndpointSlices(_ context.Context, mgr manager.Manager, t *tenant, _ served) error {
	ofService := func(b *builder.Builder) {
		b.Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
			slices := &discoveryv1.EndpointSliceList{}
			err := t.virtual.List(ctx, slices, client.InNamespace(obj.GetNamespace()), client.MatchingLabels{discoveryv1.LabelServiceName: obj.GetName()})
			if err != nil {
				return nil // the cache only fails when it is stopping
			}
			var requests []reconcile.Request
			for i := range slices.Items {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&slices.Items[i])})
			}
			return requests
		}), builder.WithPredicates(selectorless))
	}
	return setupKind(mgr, &reconciler[discoveryv1.EndpointSlice, *discoveryv1.EndpointSlice]{
		tenant: t, kind: "endpointslice", steps: &endpointSlices{t},
	}, 2, ofService)
}

// down makes the host EndpointSlice.
func (s *endpointSlices) down(ctx context.Context, p slicePair) (reconcile.Result, error) {
	synced, err := s.synced(ctx, p)
	if err != nil || !synced || p.virtual.DeletionTimestamp != nil || p.space == nil {
		return reconcile.Result{}, err // the Service asks for the namespace
	}
	err = s.host.Create(ctx, s.hostSlice(p.virtual))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return reconcile.Result{}, fmt.Errorf("creating host EndpointSlice of %s: %w", p.key, err)
	}
	return reconcile.Result{}, nil
}

// both follows changes.
func (s *endpointSlices) both(ctx context.Context, p slicePair) (reconcile.Result, error) {
	if !s.madeFromVirtual(p.host) {
		return reconcile.Result{}, nil
	}
	synced, err := s.synced(ctx, p)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !synced || p.host.AddressType != p.virtual.AddressType {
		return reconcile.Result{}, remove(ctx, s.host, p.host)
	}
	before := p.host.DeepCopy()
	s.mergeSlice(p.host, p.virtual)
	return reconcile.Result{}, patch(ctx, s.host, p.host, before)
}

// up removes the host EndpointSlice of a virtual one that is gone.
func (s *endpointSlices) up(ctx context.Context, p slicePair) (reconcile.Result, error) {
	if !s.madeFromVirtual(p.host) {
		return reconcile.Result{}, nil
	}
	gone, err := virtualGone(ctx, s.tenant, p)
	if err != nil || !gone {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, remove(ctx, s.host, p.host)
}

func (s *endpointSlices) synced(ctx context.Context, p slicePair) (bool, error) {
	service, err := s.serviceOf(ctx, p.key.Namespace, p.virtual.Labels[discoveryv1.LabelServiceName])
	return s.syncedSlice(p.virtual, service), err
}
