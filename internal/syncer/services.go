// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

type servicePair = pair[corev1.Service, *corev1.Service]

var _ steps[corev1.Service, *corev1.Service] = (*services)(nil)

// services syncs Services. The host Service comes first (AllocateService), so that both have the same addresses.
type services struct{ *tenant }

func setupServices(_ context.Context, mgr manager.Manager, t *tenant, _ served) error {
	landed := func(b *builder.Builder) { b.WatchesRawSource(source.Func(t.inFlight.start)) }
	return setupKind(mgr, &reconciler[corev1.Service, *corev1.Service]{tenant: t, kind: "service", steps: &services{t}}, 4, landed)
}

// AllocateService makes the host Service for a virtual one that is being created, and gives it: its
// addresses (clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy, nodePorts, healthCheckNodePort) are to be written into
// the virtual one. Nil means that the virtual API server chooses: the virtual cluster's own Services, and
// mirrored ones, whose addresses are given. The context must end with the request. Not for dry runs.
//
// Errors are the host's API errors (Forbidden for a full quota, Invalid for an address that is taken), AlreadyExists when a chart
// holds the name, and Conflict, to be tried again, while a Service of the name is still being deleted.
func (s *Syncer) AllocateService(ctx context.Context, virtual *corev1.Service) (*corev1.Service, error) {
	t := s.tenant
	if t.leftAlone(virtual) || mirrored(virtual) {
		return nil, nil
	}
	if err := t.spaces.ready(ctx, virtual.Namespace); err != nil {
		return nil, err
	}
	t.inFlight.hold(ctx, client.ObjectKeyFromObject(virtual))
	host := t.hostService(virtual)
	host.Spec.HealthCheckNodePort = virtual.Spec.HealthCheckNodePort
	err := t.host.Create(ctx, host)
	if err == nil {
		return host, nil
	}
	// An address that was asked for and that is taken may be taken by the attempt before this one.
	if apierrors.IsAlreadyExists(err) || apierrors.IsInvalid(err) {
		return t.reuse(ctx, virtual, err)
	}
	return nil, fmt.Errorf("creating the host Service of %s/%s: %w", virtual.Namespace, virtual.Name, err)
}

// reuse gives the host Service of an attempt that never reached the virtual cluster; why is the host's answer
// to the creation.
func (t *tenant) reuse(ctx context.Context, virtual *corev1.Service, why error) (*corev1.Service, error) {
	resource := corev1.Resource("services")
	key := types.NamespacedName{Namespace: t.hostNamespace(virtual.Namespace), Name: virtual.Name}
	host, err := find[corev1.Service](ctx, t.host, key)
	if err != nil {
		return nil, err
	}
	if host == nil {
		return nil, fmt.Errorf("creating the host Service of %s/%s: %w", virtual.Namespace, virtual.Name, why)
	}
	switch {
	case !t.madeFromVirtual(host):
		return nil, apierrors.NewAlreadyExists(resource, virtual.Name)
	case host.DeletionTimestamp != nil:
		return nil, apierrors.NewConflict(resource, virtual.Name, errors.New("the one before it is still being deleted on the host; try again"))
	}
	if virtualUID(host) != "" {
		return host, nil // of a virtual Service that exists: creating it again will fail, and must change nothing
	}
	before := host.DeepCopy()
	t.mergeService(host, virtual)
	if err := patch(ctx, t.host, host, before); err != nil {
		return nil, err
	}
	return host, nil
}

// down makes the host Service anew if somebody deleted it, or lets a virtual one go.
func (s *services) down(ctx context.Context, p servicePair) (reconcile.Result, error) {
	switch {
	case mirrored(p.virtual):
		return reconcile.Result{}, s.dropMirror(ctx, p.virtual)
	case p.virtual.DeletionTimestamp != nil:
		host, known, err := live(ctx, s.tenant, p, p.key.Name)
		if err != nil || !known || (host != nil && s.madeFromVirtual(host)) {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, s.dropFinalizer(ctx, p.virtual)
	case s.leftAlone(p.virtual):
		return reconcile.Result{}, nil
	case p.space == nil:
		s.spaces.ask(p.key.Namespace)
		return reconcile.Result{}, nil
	}
	if err := s.addFinalizer(ctx, p.virtual); err != nil {
		return reconcile.Result{}, err
	}
	// The API server tells of a deletion before it gives addresses free, so those that are taken are asked for again.
	stillTaken := func(err error) bool { return ctx.Err() == nil && refusedFor(err, "nodeport", "clusterip") }
	err := s.write(ctx, s.hostService(p.virtual), func(host *corev1.Service) error {
		return retry.OnError(releaseBackoff, stillTaken, func() error { return s.host.Create(ctx, host.DeepCopy()) })
	})
	if apierrors.IsAlreadyExists(err) {
		return reconcile.Result{}, nil // its event is on the way
	}
	return reconcile.Result{}, s.explain(p.virtual, err)
}

// write tries with the node ports that the virtual API server chose, then with any: only the
// host knows which are free.
func (s *services) write(_ context.Context, host *corev1.Service, send func(*corev1.Service) error) error {
	err := send(host.DeepCopy())
	if !refusedFor(err, "nodeport") {
		return err
	}
	withoutNodePorts(host)
	return send(host)
}

// releaseBackoff is for the time that the host's API server needs to free what a deleted Service had, about a second in all.
var releaseBackoff = wait.Backoff{Duration: 10 * time.Millisecond, Factor: 1.5, Steps: 10}

// refusedFor says whether the host refused a Service for one of the fields, part of whose names are given in small letters (the API
// server's allocators answer Invalid with the field).
func refusedFor(err error, fields ...string) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, cause := range status.Status().Details.Causes {
		if slices.ContainsFunc(fields, func(name string) bool { return strings.Contains(strings.ToLower(cause.Field), name) }) {
			return true
		}
	}
	return false
}

// both carries a deletion and changes down, and what the host chose up.
func (s *services) both(ctx context.Context, p servicePair) (reconcile.Result, error) {
	switch {
	case !s.madeFromVirtual(p.host) && mirrored(p.virtual):
		return reconcile.Result{}, s.mirror(ctx, p)
	case !s.madeFromVirtual(p.host) && p.virtual.DeletionTimestamp != nil:
		return reconcile.Result{}, s.dropFinalizer(ctx, p.virtual)
	case !s.madeFromVirtual(p.host):
		return reconcile.Result{}, s.taken(ctx, p.virtual)
	case p.virtual.DeletionTimestamp != nil && p.host.DeletionTimestamp == nil:
		return reconcile.Result{}, s.end(ctx, p)
	case p.virtual.DeletionTimestamp != nil:
		return reconcile.Result{}, nil
	}
	before := p.host.DeepCopy()
	after := p.host.DeepCopy()
	s.mergeService(after, p.virtual)
	err := s.write(ctx, after, func(host *corev1.Service) error {
		p.host = host
		return patch(ctx, s.host, host, before)
	})
	if err != nil && !refused(err) {
		return reconcile.Result{}, err // what the host has is not its answer
	}
	if err != nil {
		p.host = before
	}
	return reconcile.Result{}, errors.Join(s.explain(p.virtual, err), s.report(ctx, p))
}

// end carries a deletion down. A host Service that is not yet marked as this one's may be that of the next of
// the name, made by admission before the cache knows that this one is gone.
func (s *services) end(ctx context.Context, p servicePair) error {
	if virtualUID(p.host) != p.virtual.UID {
		if s.inFlight.has(p.key) {
			return nil // the end of the request is the next event
		}
		live, err := find[corev1.Service](ctx, s.virtualLive, p.key)
		if err != nil || live == nil || live.UID != p.virtual.UID {
			return err // its event is on the way
		}
	}
	return remove(ctx, s.host, p.host)
}

// explain tells the user why the host refused.
func (s *services) explain(virtual *corev1.Service, err error) error {
	if refused(err) {
		s.events.Eventf(virtual, nil, corev1.EventTypeWarning, "HostRefused", "Sync",
			"%s (if an address is taken on the host, delete this Service and create it again)", message(err))
	}
	return err
}

// report writes the node ports and the load balancer's addresses that the host gave.
func (s *services) report(ctx context.Context, p servicePair) error {
	before := p.virtual.DeepCopy()
	if withHostPorts(p.virtual, p.host) {
		if err := patch(ctx, s.virtual, p.virtual, before); err != nil {
			return client.IgnoreNotFound(err)
		}
		before = p.virtual.DeepCopy()
	}
	p.virtual.Status.LoadBalancer = *p.host.Status.LoadBalancer.DeepCopy()
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, p.virtual, before))
}

// up removes the host Service of a virtual one that is gone, or mirrors one that a chart made.
func (s *services) up(ctx context.Context, p servicePair) (reconcile.Result, error) {
	if !s.madeFromVirtual(p.host) {
		return reconcile.Result{}, s.mirror(ctx, p)
	}
	if s.inFlight.has(p.key) || p.host.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	gone, err := virtualGone(ctx, s.tenant, p)
	if err != nil || !gone {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, remove(ctx, s.host, p.host)
}

// mirror shows a chart's Service in the virtual cluster, at the same addresses.
func (s *services) mirror(ctx context.Context, p servicePair) error {
	switch {
	case p.virtual == nil && p.host.DeletionTimestamp != nil:
		return nil
	case p.virtual == nil:
		virtual := mirrorService(p.key.Namespace, p.host)
		if made, err := s.createMirror(ctx, virtual); err != nil || !made {
			return err
		}
		p.virtual = virtual
	case p.virtual.Spec.ClusterIP != p.host.Spec.ClusterIP:
		return s.dropMirror(ctx, p.virtual) // an address cannot change: the next event makes it anew
	default:
		before := p.virtual.DeepCopy()
		mergeMirrorService(p.virtual, p.host)
		if err := patch(ctx, s.virtual, p.virtual, before); err != nil {
			return err
		}
	}
	return s.report(ctx, p)
}
