// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type claimPair = pair[corev1.PersistentVolumeClaim, *corev1.PersistentVolumeClaim]

var _ steps[corev1.PersistentVolumeClaim, *corev1.PersistentVolumeClaim] = (*claims)(nil)

// claims syncs PersistentVolumeClaims.
type claims struct{ *tenant }

func setupClaims(_ context.Context, mgr manager.Manager, t *tenant, _ served) error {
	return setupKind(mgr, &reconciler[corev1.PersistentVolumeClaim, *corev1.PersistentVolumeClaim]{
		tenant: t, kind: "persistentvolumeclaim", steps: &claims{t},
	}, 2)
}

// down makes the host claim, or lets a virtual one go whose host claim is gone.
func (s *claims) down(ctx context.Context, p claimPair) (reconcile.Result, error) {
	switch {
	case mirrored(p.virtual):
		return reconcile.Result{}, s.dropMirror(ctx, p.virtual)
	case p.virtual.DeletionTimestamp != nil:
		host, known, err := live(ctx, s.tenant, p, p.key.Name)
		if err != nil || !known || host != nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, s.dropFinalizer(ctx, p.virtual)
	case p.space == nil && !hadData(p.virtual):
		s.spaces.ask(p.key.Namespace)
		return reconcile.Result{}, nil
	}
	err := madeByNow(s.make(ctx, p))
	if refused(err) {
		s.events.Eventf(p.virtual, nil, corev1.EventTypeWarning, "HostRefused", "Create", "%s", message(err))
	}
	return reconcile.Result{}, err
}

// both carries a deletion and changes down, and status and volume up.
func (s *claims) both(ctx context.Context, p claimPair) (reconcile.Result, error) {
	switch {
	case !s.madeFromVirtual(p.host) && mirrored(p.virtual):
		return reconcile.Result{}, s.mirror(ctx, p)
	case !s.madeFromVirtual(p.host) && p.virtual.DeletionTimestamp != nil:
		return reconcile.Result{}, s.dropFinalizer(ctx, p.virtual)
	case !s.madeFromVirtual(p.host):
		return reconcile.Result{}, s.taken(ctx, p.virtual)
	}
	if err := s.report(ctx, p); err != nil {
		return reconcile.Result{}, err
	}
	if p.virtual.DeletionTimestamp != nil {
		if p.host.DeletionTimestamp != nil {
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, remove(ctx, s.host, p.host)
	}
	err := s.change(ctx, p)
	if refused(err) {
		s.events.Eventf(p.virtual, nil, corev1.EventTypeWarning, "HostRefused", "Update", "%s", message(err))
	}
	return reconcile.Result{}, err
}

// up removes the host claim of a virtual one that is gone, or mirrors one that a chart made.
func (s *claims) up(ctx context.Context, p claimPair) (reconcile.Result, error) {
	if !s.madeFromVirtual(p.host) {
		return reconcile.Result{}, s.mirror(ctx, p)
	}
	gone, err := virtualGone(ctx, s.tenant, p)
	if err != nil || !gone {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, remove(ctx, s.host, p.host)
}

func (s *claims) mirror(ctx context.Context, p claimPair) error {
	switch {
	case p.virtual == nil && p.host.DeletionTimestamp != nil:
		return nil
	case p.virtual == nil:
		virtual := mirrorClaim(p.key.Namespace, p.host)
		if made, err := s.createMirror(ctx, virtual); err != nil || !made {
			return err
		}
		p.virtual = virtual
	case !mirrorOf(p.virtual, p.host):
		return s.dropMirror(ctx, p.virtual) // made anew by the chart, for another volume: the next event mirrors it
	default:
		before := p.virtual.DeepCopy()
		mergeMirrorClaim(p.virtual, p.host)
		if err := patch(ctx, s.virtual, p.virtual, before); err != nil {
			return err
		}
	}
	return s.report(ctx, p)
}

// report writes the class and the volume that the host chose, and the status, into the virtual claim.
func (s *claims) report(ctx context.Context, p claimPair) error {
	before := p.virtual.DeepCopy()
	if withHostChoices(p.virtual, p.host) {
		if err := patch(ctx, s.virtual, p.virtual, before); err != nil {
			return client.IgnoreNotFound(err)
		}
		before = p.virtual.DeepCopy()
	}
	p.virtual.Status = *p.host.Status.DeepCopy()
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, p.virtual, before))
}

// make creates the host claim; never for a virtual one that had one and so had data.
func (s *claims) make(ctx context.Context, p claimPair) error {
	if hadData(p.virtual) {
		return s.lose(ctx, p)
	}
	live, err := find[corev1.PersistentVolumeClaim](ctx, s.virtualLive, p.key)
	if err != nil || live == nil || live.UID != p.virtual.UID || hadData(live) {
		return err // what the cache does not know yet is the next event
	}
	if err := s.addFinalizer(ctx, p.virtual); err != nil {
		return err
	}
	if err := s.host.Create(ctx, s.hostClaim(p.virtual)); err != nil {
		return fmt.Errorf("creating host PersistentVolumeClaim of %s: %w", p.key, err)
	}
	return nil
}

// lose tells that the host claim is gone behind our back. A new one would be an empty disk under a name that
// stands for data.
func (s *claims) lose(ctx context.Context, p claimPair) error {
	host, known, err := live(ctx, s.tenant, p, p.key.Name)
	if err != nil || !known || host != nil || p.virtual.Status.Phase == corev1.ClaimLost {
		return err
	}
	s.events.Eventf(p.virtual, nil, corev1.EventTypeWarning, "ClaimLost", "Sync",
		"its claim was deleted on the host, and the data may be gone with it: delete this claim to have a new, empty one")
	before := p.virtual.DeepCopy()
	p.virtual.Status.Phase = corev1.ClaimLost
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, p.virtual, before))
}

func (s *claims) change(ctx context.Context, p claimPair) error {
	if !s.madeFromVirtual(p.host) {
		return s.taken(ctx, p.virtual)
	}
	before := p.host.DeepCopy()
	s.mergeClaim(p.host, p.virtual)
	return patch(ctx, s.host, p.host, before)
}
