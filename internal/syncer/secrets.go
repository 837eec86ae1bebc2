// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type secretPair = pair[corev1.Secret, *corev1.Secret]

var _ steps[corev1.Secret, *corev1.Secret] = (*secrets)(nil)

// secrets syncs the Secrets that something uses down, and bindings and connection Secrets up.
type secrets struct {
	*tenant
	has served
}

func setupSecrets(_ context.Context, mgr manager.Manager, t *tenant, has served) error {
	more := []func(*builder.Builder){usedBy(&corev1.Pod{}, secretsOf), usedBy(&networkingv1.Ingress{}, secretsOf), tokensOf}
	for _, kind := range releaseKinds(has) {
		more = append(more, usedBy(untyped(kind), secretsOf))
	}
	return setupKind(mgr, &reconciler[corev1.Secret, *corev1.Secret]{tenant: t, kind: "secret", steps: &secrets{t, has}}, 2, more...)
}

// tokensOf has the token Secret of a Pod that is gone looked at: usually the host's garbage
// collector removes it with the host Pod, but not one whose Pod was never made.
func tokensOf(b *builder.Builder) {
	b.Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []reconcile.Request {
		pod, isPod := obj.(*corev1.Pod)
		if !isPod || len(tokenSources(pod)) == 0 {
			return nil
		}
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: pod.Namespace, Name: tokenSecretName(pod)}}}
	}), builder.WithPredicates(onlyDeletes))
}

// down makes the host Secret when something uses it, or ends the mirror of a host Secret that is gone.
func (s *secrets) down(ctx context.Context, p secretPair) (reconcile.Result, error) {
	switch {
	case mirrored(p.virtual):
		return reconcile.Result{}, s.dropMirror(ctx, p.virtual)
	case p.space == nil, p.virtual.DeletionTimestamp != nil, !syncedSecretType(p.virtual):
		return reconcile.Result{}, nil
	}
	wanted, err := s.used(ctx, p.key, usesSecret, s.has)
	if err != nil || !wanted {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, madeByNow(s.make(ctx, p))
}

// both follows changes in the direction of the owner.
func (s *secrets) both(ctx context.Context, p secretPair) (reconcile.Result, error) {
	if mirrored(p.virtual) && !s.madeFromVirtual(p.host) {
		return reconcile.Result{}, s.mirror(ctx, p)
	}
	wanted, err := s.used(ctx, p.key, usesSecret, s.has)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case wanted && syncedSecretType(p.virtual):
		return reconcile.Result{}, s.change(ctx, p)
	case s.madeFromVirtual(p.host):
		return reconcile.Result{}, remove(ctx, s.host, p.host)
	}
	return reconcile.Result{}, nil
}

// up mirrors bindings and connection Secrets, and removes the host Secret of a virtual
// one that is gone.
func (s *secrets) up(ctx context.Context, p secretPair) (reconcile.Result, error) {
	switch {
	case !s.madeFromVirtual(p.host):
		return reconcile.Result{}, s.mirror(ctx, p)
	case p.host.Labels[labelTokens] == "true":
		return reconcile.Result{}, s.dropTokens(ctx, p)
	}
	gone, err := virtualGone(ctx, s.tenant, p)
	if err != nil || !gone {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, remove(ctx, s.host, p.host)
}

// dropTokens removes the token Secret of a Pod that is gone.
func (s *secrets) dropTokens(ctx context.Context, p secretPair) error {
	key := types.NamespacedName{Namespace: p.key.Namespace, Name: p.host.Annotations[annotationTokenPod]}
	for _, from := range []client.Reader{s.virtual, s.virtualLive} {
		pod, err := find[corev1.Pod](ctx, from, key)
		if err != nil {
			return err
		}
		if pod != nil && pod.UID == virtualUID(p.host) {
			return nil
		}
	}
	return remove(ctx, s.host, p.host)
}

// mirror shows a host-made Secret that is offered, and takes back one that is not any more.
func (s *secrets) mirror(ctx context.Context, p secretPair) error {
	offered := offeredSecret(p.host) && p.host.DeletionTimestamp == nil
	switch {
	case p.virtual == nil && !offered:
		return nil
	case p.virtual == nil:
		_, err := s.createMirror(ctx, mirrorSecret(p.key.Namespace, p.host))
		return err
	case !offered || p.virtual.Type != p.host.Type:
		return s.dropMirror(ctx, p.virtual) // a type cannot change: the next event makes it anew
	}
	before := p.virtual.DeepCopy()
	mergeMirrorSecret(p.virtual, p.host)
	return patch(ctx, s.virtual, p.virtual, before)
}

func (s *secrets) make(ctx context.Context, p secretPair) error {
	if !syncedSecretType(p.virtual) {
		return nil
	}
	if err := s.host.Create(ctx, s.hostSecret(p.virtual)); err != nil {
		return fmt.Errorf("creating host Secret of %s: %w", p.key, err)
	}
	return nil
}

// change brings the host Secret up to date. One that was immutable or of another type is made anew: the
// virtual one was too.
func (s *secrets) change(ctx context.Context, p secretPair) error {
	if !s.madeFromVirtual(p.host) {
		return s.taken(ctx, p.virtual)
	}
	before := p.host.DeepCopy()
	s.mergeSecret(p.host, p.virtual)
	if before.Type != p.host.Type || (isTrue(before.Immutable) && virtualUID(before) != p.virtual.UID) {
		return remove(ctx, s.host, before) // its deletion is the next event
	}
	return patch(ctx, s.host, p.host, before)
}

// taken tells, on the virtual object, that a chart holds its name on the host.
func (t *tenant) taken(_ context.Context, virtual client.Object) error {
	t.events.Eventf(virtual, nil, corev1.EventTypeWarning, "NameTaken", "Sync",
		"an object named %s was made on the host by a chart; this one is not used there: give it another name", virtual.GetName())
	return nil
}
