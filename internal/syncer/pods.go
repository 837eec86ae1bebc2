// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type podPair = pair[corev1.Pod, *corev1.Pod]

var _ steps[corev1.Pod, *corev1.Pod] = (*pods)(nil)

// pods syncs Pods. To the virtual cluster it is the scheduler and the kubelet: it
// binds the Pod, reports its status, and lets it go when nothing runs any more.
type pods struct {
	*tenant
	refs   *referenced
	tokens *tokens
	// placed has the UID of each virtual Pod that was seen on the host, so that one that is
	// not there any more is known to have been removed.
	placed sync.Map // types.NamespacedName -> types.UID
}

func setupPods(_ context.Context, mgr manager.Manager, t *tenant, _ served) error {
	steps := &pods{tenant: t, refs: &referenced{t}, tokens: &tokens{t}}
	return setupKind(mgr, &reconciler[corev1.Pod, *corev1.Pod]{tenant: t, kind: "pod", steps: steps}, 8)
}

// down makes the host Pod, or ends a virtual Pod whose host Pod is gone.
func (s *pods) down(ctx context.Context, p podPair) (reconcile.Result, error) {
	switch {
	case mirrored(p.virtual):
		return reconcile.Result{}, s.letGo(ctx, p.virtual)
	case p.virtual.DeletionTimestamp != nil, s.wasPlaced(p):
		return s.hostPodGone(ctx, p)
	case finished(p.virtual):
		return reconcile.Result{}, nil
	case p.space == nil:
		s.spaces.ask(p.key.Namespace)
		return reconcile.Result{}, nil
	}
	err := s.create(ctx, p)
	switch {
	case apierrors.IsAlreadyExists(err):
		host, known, err := live(ctx, s.tenant, p, p.key.Name)
		if err != nil || !known || host == nil {
			return reconcile.Result{}, err
		}
		p.host = host
		return s.both(ctx, p)
	case refused(err):
		return reconcile.Result{}, errors.Join(s.reportRefusal(ctx, p.virtual, err), err)
	}
	return reconcile.Result{}, err
}

// create writes what the Pod refers to, the Pod, and then the Secret with its tokens, because that goes with
// the Pod: a Pod that the host refuses leaves nothing behind, and no kubelet mounts volumes so soon.
func (s *pods) create(ctx context.Context, p podPair) error {
	if err := s.refs.ensure(ctx, p.space, p.key.Namespace, podReferences(p.virtual)); err != nil {
		return err
	}
	host := s.hostPod(p.virtual)
	if err := s.host.Create(ctx, host); err != nil {
		return err
	}
	s.placed.Store(p.key, p.virtual.UID)
	log.FromContext(ctx).V(1).Info("created host Pod", "pod", p.key, "hostNamespace", p.space.host)
	return s.tokens.create(ctx, p.virtual, host)
}

// wasPlaced says whether the virtual Pod once had a host Pod.
func (s *pods) wasPlaced(p podPair) bool {
	uid, seen := s.placed.Load(p.key)
	return wasScheduled(p.virtual) || (seen && uid == p.virtual.UID)
}

// hostPodGone ends the virtual Pod, once the host's API server says that the host Pod is gone.
func (s *pods) hostPodGone(ctx context.Context, p podPair) (reconcile.Result, error) {
	host, known, err := live(ctx, s.tenant, p, p.key.Name)
	if err != nil || !known {
		return reconcile.Result{}, err
	}
	if host != nil {
		p.host = host
		return s.both(ctx, p)
	}
	s.placed.Delete(p.key)
	if err := s.reportLost(ctx, p.virtual); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, s.letGo(ctx, p.virtual)
}

// letGo is what a kubelet does when nothing of a Pod runs any more.
func (s *pods) letGo(ctx context.Context, virtual *corev1.Pod) error {
	if grace := virtual.DeletionGracePeriodSeconds; virtual.DeletionTimestamp != nil && grace != nil && *grace == 0 {
		return nil // somebody else's finalizer holds it
	}
	return remove(ctx, s.virtual, virtual, client.GracePeriodSeconds(0))
}

// both brings status up and changes down. Neither waits for the other: a change that the
// host refuses must not hide what runs there.
func (s *pods) both(ctx context.Context, p podPair) (reconcile.Result, error) {
	switch {
	case !s.madeFromVirtual(p.host) && mirrored(p.virtual):
		return s.mirror(ctx, p)
	case !s.madeFromVirtual(p.host):
		return reconcile.Result{}, s.reportRefusal(ctx, p.virtual, fmt.Errorf(
			"the host namespace already has a Pod %s that a chart made: use another name", p.key.Name))
	case mirrored(p.virtual):
		return reconcile.Result{}, s.letGo(ctx, p.virtual)
	case virtualUID(p.host) != p.virtual.UID:
		return reconcile.Result{}, s.replace(ctx, p)
	}
	s.placed.Store(p.key, p.virtual.UID)
	if err := s.reportStatus(ctx, p); err != nil {
		return reconcile.Result{}, err
	}
	if p.host.DeletionTimestamp != nil || p.virtual.DeletionTimestamp != nil {
		return reconcile.Result{}, s.end(ctx, p)
	}
	if finished(p.host) {
		return reconcile.Result{}, nil
	}
	after, tokenErr := s.tokens.refresh(ctx, p)
	err := errors.Join(s.change(ctx, p), tokenErr)
	if refused(err) {
		s.events.Eventf(p.virtual, nil, corev1.EventTypeWarning, "HostRefused", "Update", "%s", message(err))
	}
	return reconcile.Result{RequeueAfter: after}, err
}

// replace ends the host Pod of an earlier virtual Pod of the same name; the new
// one follows when it is gone.
func (s *pods) replace(ctx context.Context, p podPair) error {
	if p.host.DeletionTimestamp != nil {
		return nil
	}
	gone, err := s.laterThanCache(ctx, p)
	if err != nil || gone {
		return err
	}
	return remove(ctx, s.host, p.host)
}

// laterThanCache says whether the host Pod belongs to a virtual Pod that the virtual cache has not shown yet.
func (s *pods) laterThanCache(ctx context.Context, p podPair) (bool, error) {
	virtual, err := find[corev1.Pod](ctx, s.virtualLive, p.key)
	return err == nil && virtual != nil && virtual.UID == virtualUID(p.host), err
}

// end carries a deletion from the side where it began to the other. A Pod that is deleted by force
// in the virtual cluster still gets a second on the host: its name is free there only when it has really ended.
func (s *pods) end(ctx context.Context, p podPair) error {
	if p.virtual.DeletionTimestamp == nil {
		return remove(ctx, s.virtual, p.virtual, client.GracePeriodSeconds(ptr.Deref(p.host.DeletionGracePeriodSeconds, 0)))
	}
	grace := max(ptr.Deref(p.virtual.DeletionGracePeriodSeconds, 0), 1)
	if p.host.DeletionTimestamp != nil && ptr.Deref(p.host.DeletionGracePeriodSeconds, 0) <= grace {
		return nil
	}
	return remove(ctx, s.host, p.host, client.GracePeriodSeconds(grace))
}

// up ends a host Pod whose virtual Pod is gone, or mirrors one that a chart made.
func (s *pods) up(ctx context.Context, p podPair) (reconcile.Result, error) {
	s.placed.Delete(p.key)
	if !s.madeFromVirtual(p.host) {
		return s.mirror(ctx, p)
	}
	gone, err := virtualGone(ctx, s.tenant, p)
	if err != nil || !gone || p.host.DeletionTimestamp != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, remove(ctx, s.host, p.host)
}

// mirror shows a host-made Pod in the virtual cluster. One that the chart made anew under its name is another
// Pod, on another node perhaps: it follows when the mirror of the one before it is gone.
func (s *pods) mirror(ctx context.Context, p podPair) (reconcile.Result, error) {
	switch {
	case p.virtual == nil && p.host.DeletionTimestamp != nil:
		return reconcile.Result{}, nil
	case p.virtual == nil:
		namespace := &corev1.Namespace{}
		if err := s.virtual.Get(ctx, types.NamespacedName{Name: p.key.Namespace}, namespace); err != nil {
			return reconcile.Result{}, fmt.Errorf("mirroring Pod %s: %w", p.key, err)
		}
		virtual := mirrorPod(namespace, p.host)
		if made, err := s.createMirror(ctx, virtual); err != nil || !made {
			return reconcile.Result{}, err
		}
		p.virtual = virtual
	case !mirrorOf(p.virtual, p.host):
		return reconcile.Result{}, s.letGo(ctx, p.virtual)
	default:
		before := p.virtual.DeepCopy()
		mergeMirrorPod(p.virtual, p.host)
		if err := patch(ctx, s.virtual, p.virtual, before); err != nil {
			return reconcile.Result{}, err
		}
	}
	if err := s.reportStatus(ctx, p); err != nil || p.host.DeletionTimestamp == nil || p.virtual.DeletionTimestamp != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, s.end(ctx, p)
}

// now is the time as objects hold it, to the second.
func now() metav1.Time { return metav1.Now().Rfc3339Copy() }
