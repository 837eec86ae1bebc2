// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// decision is what a member does about a virtual cluster.
type decision int

const (
	leave   decision = iota // go on as before
	serve                   // take it when its Lease is free
	retire                  // stop it, and say so by removing FinalizerControlPlane
	abandon                 // nobody waits for it any more
)

// decide is the whole policy. Prepared is the operator's word to serve, also while a
// deletion drains the virtual cluster from inside; on deletion Prepared turns False when it
// is to stop.
func decide(vc *platformv1alpha1.VirtualCluster) decision {
	prepared := status.IsTrue(vc.Status.Conditions, platformv1alpha1.ConditionPrepared)
	held := controllerutil.ContainsFinalizer(vc, platformv1alpha1.FinalizerControlPlane)
	deleting := !vc.DeletionTimestamp.IsZero()
	switch {
	case vc.Spec.Placement == platformv1alpha1.PlacementDedicated,
		vc.Annotations[platformv1alpha1.AnnotationPaused] == "true":
		return leave
	case deleting && !held:
		return abandon // never started, or already said to have stopped
	case deleting && !prepared:
		return retire
	case prepared:
		return serve
	}
	return leave
}

// Reconcile starts and stops the runners; their work is not done here.
func (p *pool) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	vc := &platformv1alpha1.VirtualCluster{}
	if err := p.client.Get(ctx, req.NamespacedName, vc); err != nil {
		if apierrors.IsNotFound(err) {
			p.abandon(req.Name)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	switch decide(vc) {
	case serve:
		p.serve(vc.Name, vc.UID).tell()
	case retire:
		p.serve(vc.Name, vc.UID).retire()
	case abandon:
		p.abandon(vc.Name)
	}
	return ctrl.Result{}, nil
}
