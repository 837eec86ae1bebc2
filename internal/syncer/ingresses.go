// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type ingressPair = pair[networkingv1.Ingress, *networkingv1.Ingress]

var _ steps[networkingv1.Ingress, *networkingv1.Ingress] = (*ingresses)(nil)

// ingresses syncs Ingresses, for the host's ingress controller to serve: Services have the same names and addresses there.
type ingresses struct {
	*tenant
	refs *referenced
}

func setupIngresses(_ context.Context, mgr manager.Manager, t *tenant, _ served) error {
	return setupKind(mgr, &reconciler[networkingv1.Ingress, *networkingv1.Ingress]{
		tenant: t, kind: "ingress", steps: &ingresses{t, &referenced{t}},
	}, 2)
}

// down makes the host Ingress and brings the certificates that it names, or ends the mirror of one that is gone.
func (s *ingresses) down(ctx context.Context, p ingressPair) (reconcile.Result, error) {
	switch {
	case mirrored(p.virtual):
		return reconcile.Result{}, s.dropMirror(ctx, p.virtual)
	case p.virtual.DeletionTimestamp != nil:
		return reconcile.Result{}, nil
	case p.space == nil:
		s.spaces.ask(p.key.Namespace)
		return reconcile.Result{}, nil
	}
	if err := s.refs.ensure(ctx, p.space, p.key.Namespace, ingressReferences(p.virtual)); err != nil {
		return reconcile.Result{}, err
	}
	err := madeByNow(s.host.Create(ctx, s.hostIngress(p.virtual)))
	s.explain(p, err)
	if err != nil {
		err = fmt.Errorf("creating the host Ingress of %s: %w", p.key, err)
	}
	return reconcile.Result{}, err
}

// both follows changes in the direction of the owner, and brings the address up.
func (s *ingresses) both(ctx context.Context, p ingressPair) (reconcile.Result, error) {
	switch {
	case !s.madeFromVirtual(p.host) && mirrored(p.virtual):
		return reconcile.Result{}, s.mirror(ctx, p)
	case !s.madeFromVirtual(p.host):
		return reconcile.Result{}, s.taken(ctx, p.virtual)
	}
	before := p.host.DeepCopy()
	s.mergeIngress(p.host, p.virtual)
	if err := patch(ctx, s.host, p.host, before); err != nil {
		s.explain(p, err)
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, s.report(ctx, p)
}

// up removes the host Ingress of a virtual one that is gone, or mirrors one that a chart made.
func (s *ingresses) up(ctx context.Context, p ingressPair) (reconcile.Result, error) {
	if !s.madeFromVirtual(p.host) {
		return reconcile.Result{}, s.mirror(ctx, p)
	}
	gone, err := virtualGone(ctx, s.tenant, p)
	if err != nil || !gone || p.host.DeletionTimestamp != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, remove(ctx, s.host, p.host)
}

// mirror shows a chart's Ingress in the virtual cluster.
func (s *ingresses) mirror(ctx context.Context, p ingressPair) error {
	switch {
	case p.virtual == nil && p.host.DeletionTimestamp != nil:
		return nil
	case p.virtual == nil:
		virtual := mirrorIngress(p.key.Namespace, p.host)
		if made, err := s.createMirror(ctx, virtual); err != nil || !made {
			return err
		}
		p.virtual = virtual
	default:
		before := p.virtual.DeepCopy()
		mergeMirrorIngress(p.virtual, p.host)
		if err := patch(ctx, s.virtual, p.virtual, before); err != nil {
			return err
		}
	}
	return s.report(ctx, p)
}

// report writes the addresses that the host's ingress controller gave.
func (s *ingresses) report(ctx context.Context, p ingressPair) error {
	before := p.virtual.DeepCopy()
	p.virtual.Status = *p.host.Status.DeepCopy()
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, p.virtual, before))
}

// explain tells the user why the host refused.
func (s *ingresses) explain(p ingressPair, err error) {
	if refused(err) {
		s.events.Eventf(p.virtual, nil, corev1.EventTypeWarning, "HostRefused", "Sync", "%s", message(err))
	}
}
