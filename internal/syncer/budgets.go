// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type budgetPair = pair[policyv1.PodDisruptionBudget, *policyv1.PodDisruptionBudget]

var _ steps[policyv1.PodDisruptionBudget, *policyv1.PodDisruptionBudget] = (*budgets)(nil)

// budgets syncs PodDisruptionBudgets down, so that a drain of a host's node asks them too. Charts' budgets stay on the
// host, where their Pods are evicted.
type budgets struct{ *tenant }

func setupBudgets(_ context.Context, mgr manager.Manager, t *tenant, _ served) error {
	return setupKind(mgr, &reconciler[policyv1.PodDisruptionBudget, *policyv1.PodDisruptionBudget]{
		tenant: t, kind: "poddisruptionbudget", steps: &budgets{t},
	}, 1)
}

// down makes the host budget, once the virtual cluster's controller has counted. It does not ask for the namespace: a budget without
// Pods protects nothing.
func (s *budgets) down(ctx context.Context, p budgetPair) (reconcile.Result, error) {
	if p.space == nil || p.virtual.DeletionTimestamp != nil || !counted(p.virtual) {
		return reconcile.Result{}, nil
	}
	err := madeByNow(s.host.Create(ctx, s.hostBudget(p.virtual)))
	s.explain(p, err)
	if err != nil {
		err = fmt.Errorf("creating the host PodDisruptionBudget of %s: %w", p.key, err)
	}
	return reconcile.Result{}, err
}

// both follows changes, and every new count.
func (s *budgets) both(ctx context.Context, p budgetPair) (reconcile.Result, error) {
	switch {
	case !s.madeFromVirtual(p.host):
		return reconcile.Result{}, s.taken(ctx, p.virtual)
	case !counted(p.virtual):
		return reconcile.Result{}, nil
	}
	before := p.host.DeepCopy()
	s.mergeBudget(p.host, p.virtual)
	err := patch(ctx, s.host, p.host, before)
	s.explain(p, err)
	return reconcile.Result{}, err
}

// up removes the host budget of a virtual one that is gone.
func (s *budgets) up(ctx context.Context, p budgetPair) (reconcile.Result, error) {
	if !s.madeFromVirtual(p.host) {
		return reconcile.Result{}, nil
	}
	gone, err := virtualGone(ctx, s.tenant, p)
	if err != nil || !gone {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, remove(ctx, s.host, p.host)
}

// explain tells the user why the host refused.
func (s *budgets) explain(p budgetPair, err error) {
	if refused(err) {
		s.events.Eventf(p.virtual, nil, corev1.EventTypeWarning, "HostRefused", "Sync", "%s", message(err))
	}
}
