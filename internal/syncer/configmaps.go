// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type configMapPair = pair[corev1.ConfigMap, *corev1.ConfigMap]

var _ steps[corev1.ConfigMap, *corev1.ConfigMap] = (*configMaps)(nil)

// configMaps syncs the ConfigMaps that something uses, and in every open namespace the virtual cluster's CA.
type configMaps struct {
	*tenant
	has served
}

func setupConfigMaps(_ context.Context, mgr manager.Manager, t *tenant, has served) error {
	more := []func(*builder.Builder){usedBy(&corev1.Pod{}, configMapsOf)}
	for _, kind := range releaseKinds(has) {
		more = append(more, usedBy(untyped(kind), configMapsOf))
	}
	return setupKind(mgr, &reconciler[corev1.ConfigMap, *corev1.ConfigMap]{
		tenant: t, kind: "configmap", steps: &configMaps{t, has}, hostName: hostConfigMap, virtualName: virtualConfigMap,
	}, 2, more...)
}

// down makes the host ConfigMap when something uses it.
func (s *configMaps) down(ctx context.Context, p configMapPair) (reconcile.Result, error) {
	if p.space == nil || p.virtual.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	wanted, err := s.wanted(ctx, p.key)
	if err != nil || !wanted {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, madeByNow(s.make(ctx, p))
}

// both follows changes, and removes the host ConfigMap that nothing uses any more.
func (s *configMaps) both(ctx context.Context, p configMapPair) (reconcile.Result, error) {
	wanted, err := s.wanted(ctx, p.key)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case wanted:
		return reconcile.Result{}, s.change(ctx, p)
	case s.madeFromVirtual(p.host):
		return reconcile.Result{}, remove(ctx, s.host, p.host)
	}
	return reconcile.Result{}, nil
}

// up removes the host ConfigMap of a virtual one that is gone. What charts make stays theirs.
func (s *configMaps) up(ctx context.Context, p configMapPair) (reconcile.Result, error) {
	if !s.madeFromVirtual(p.host) {
		return reconcile.Result{}, nil
	}
	gone, err := virtualGone(ctx, s.tenant, p)
	if err != nil || !gone {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, remove(ctx, s.host, p.host)
}

func (s *configMaps) wanted(ctx context.Context, key types.NamespacedName) (bool, error) {
	if key.Name == virtualRootCA {
		return true, nil
	}
	return s.used(ctx, key, usesConfigMap, s.has)
}

func (s *configMaps) make(ctx context.Context, p configMapPair) error {
	if err := s.host.Create(ctx, s.hostConfigMap(p.virtual)); err != nil {
		return fmt.Errorf("creating host ConfigMap of %s: %w", p.key, err)
	}
	return nil
}

// change brings the host ConfigMap up to date. An immutable one is made anew: the
// virtual one was too.
func (s *configMaps) change(ctx context.Context, p configMapPair) error {
	if !s.madeFromVirtual(p.host) {
		return s.taken(ctx, p.virtual)
	}
	before := p.host.DeepCopy()
	s.mergeConfigMap(p.host, p.virtual)
	if isTrue(before.Immutable) && virtualUID(before) != p.virtual.UID {
		return remove(ctx, s.host, p.host) // its deletion is the next event
	}
	return patch(ctx, s.host, p.host, before)
}

func isTrue(b *bool) bool { return b != nil && *b }
