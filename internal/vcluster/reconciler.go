// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package vcluster makes everything that a virtual cluster needs before and around its
// control plane: home namespace, identity, Services, etcd user, certificates,
// kubeconfig; and the host namespaces that its syncer asks for. It is station 4
// (vcluster) of docs/flow.md.
//
// The control plane itself is a pool member's work. The two talk through the
// VirtualCluster: Prepared=True says that a member may serve it,
// ControlPlaneReady that one does, FinalizerControlPlane that one still holds it. On deletion
// Prepared turns False when the member is to stop.
package vcluster

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// retryBlocked is how often a blocked object is looked at again: what blocks it belongs
// to somebody else, and is not in our cache.
const retryBlocked = 15 * time.Second

// retryConflict is when to look again after somebody else wrote first: time for the cache to follow.
const retryConflict = 50 * time.Millisecond

// clusterReconciler brings a VirtualCluster to Prepared, and takes it apart.
type clusterReconciler struct {
	client client.Client // of the platform's own kinds
	store  store
	opts   Options
	clock  clock.PassiveClock
	events events.EventRecorder
}

// Reconcile implements reconcile.Reconciler.
func (r *clusterReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	vc := &v1alpha1.VirtualCluster{}
	if err := r.client.Get(ctx, req.NamespacedName, vc); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if vc.Annotations[v1alpha1.AnnotationPaused] == "true" {
		before := vc.DeepCopy()
		paused(&vc.Status.Conditions, vc.Generation)
		return finish(ctx, ctrl.Result{}, nil, status.Patch(ctx, r.client, vc, before))
	}
	if !vc.DeletionTimestamp.IsZero() {
		return r.reconcileDeletion(ctx, vc)
	}
	if controllerutil.ContainsFinalizer(vc, v1alpha1.FinalizerCleanup) && vc.Status.ServiceIP == "" {
		// The cache may not have our last write of the status yet. Without the addresses in it, a Service that
		// was deleted meanwhile would come back at others.
		vc = &v1alpha1.VirtualCluster{}
		if err := r.store.direct.Get(ctx, req.NamespacedName, vc); err != nil || !vc.DeletionTimestamp.IsZero() {
			return ctrl.Result{}, client.IgnoreNotFound(err)
		}
	}
	if err := addFinalizer(ctx, r.client, vc, v1alpha1.FinalizerCleanup); err != nil {
		return finish(ctx, ctrl.Result{}, nil, err)
	}
	before := vc.DeepCopy()
	result, err := r.prepare(ctx, vc)
	summarize(vc, "", err)
	return finish(ctx, result, err, r.write(ctx, vc, before))
}

// write writes the status and tells what changed.
func (r *clusterReconciler) write(ctx context.Context, vc, before *v1alpha1.VirtualCluster) error {
	err := status.Patch(ctx, r.client, vc, before)
	if err == nil {
		status.Announce(r.events, vc, before.Status.Conditions, vc.Status.Conditions, v1alpha1.ConditionPrepared, v1alpha1.ConditionReady)
	}
	return err
}

func (r *clusterReconciler) reconcileDeletion(ctx context.Context, vc *v1alpha1.VirtualCluster) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(vc, v1alpha1.FinalizerCleanup) {
		return ctrl.Result{}, nil
	}
	before := vc.DeepCopy()
	waiting, err := r.shutdown(ctx, vc)
	if err == nil && waiting == "" {
		err := removeFinalizer(ctx, r.client, vc, v1alpha1.FinalizerCleanup)
		if err == nil {
			log.FromContext(ctx).Info("virtual cluster is gone")
			r.events.Eventf(vc, nil, corev1.EventTypeNormal, reasonDeleted, "Reconcile", "nothing of it is left on the host")
		}
		return finish(ctx, ctrl.Result{}, nil, err)
	}
	summarize(vc, waiting, err)
	return finish(ctx, ctrl.Result{}, err, r.write(ctx, vc, before))
}

// finish joins what the work and the write of its result came to. A conflict is no error: a
// newer object is on its way to the cache, and is looked at soon.
func finish(ctx context.Context, result ctrl.Result, work, written error) (ctrl.Result, error) {
	var b blocked
	if errors.As(work, &b) {
		log.FromContext(ctx).Info("blocked", "reason", b.reason, "message", b.message)
		work, result = nil, ctrl.Result{RequeueAfter: retryBlocked}
	}
	if apierrors.IsConflict(written) {
		log.FromContext(ctx).V(1).Info("somebody else wrote first; reconciling what is there now")
		written, result = nil, ctrl.Result{RequeueAfter: retryConflict}
	}
	if err := errors.Join(work, client.IgnoreNotFound(written)); err != nil {
		return ctrl.Result{}, err
	}
	return result, nil
}

// addFinalizer writes the finalizer if the object lacks it; obj is then what the API
// server has.
func addFinalizer(ctx context.Context, c client.Client, obj client.Object, finalizer string) error {
	return changeFinalizer(ctx, c, obj, finalizer, controllerutil.AddFinalizer)
}

func removeFinalizer(ctx context.Context, c client.Client, obj client.Object, finalizer string) error {
	return changeFinalizer(ctx, c, obj, finalizer, controllerutil.RemoveFinalizer)
}

// changeFinalizer is under an optimistic lock, because a patch replaces the whole list.
func changeFinalizer(ctx context.Context, c client.Client, obj client.Object, finalizer string, change func(client.Object, string) bool) error {
	before := obj.DeepCopyObject().(client.Object)
	if !change(obj, finalizer) {
		return nil
	}
	return wrap(c.Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})), "changing the finalizers of", obj)
}

// setPrepared writes the condition that lets a pool member serve, or not.
func setPrepared(vc *v1alpha1.VirtualCluster, s metav1.ConditionStatus, reason, message string) {
	status.Set(&vc.Status.Conditions, vc.Generation, v1alpha1.ConditionPrepared, s, reason, message)
}
