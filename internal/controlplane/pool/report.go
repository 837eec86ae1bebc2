// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// change reads the VirtualCluster, lets f change it and writes it, again when somebody else
// wrote in between. One that is gone, or is another of the same name, needs no write.
func (r *runner) change(ctx context.Context, f func(vc, before *platformv1alpha1.VirtualCluster) error) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		vc := &platformv1alpha1.VirtualCluster{}
		if err := r.live.Get(ctx, client.ObjectKey{Name: r.name}, vc); err != nil {
			return client.IgnoreNotFound(err)
		}
		if vc.UID != r.uid {
			return nil
		}
		return client.IgnoreNotFound(f(vc, vc.DeepCopy()))
	})
}

func (r *runner) report(ctx context.Context, s metav1.ConditionStatus, reason, message string) error {
	return r.change(ctx, func(vc, before *platformv1alpha1.VirtualCluster) error {
		if s == metav1.ConditionTrue {
			vc.Status.Member, vc.Status.Version = r.Member, r.Version
		}
		status.Set(&vc.Status.Conditions, vc.Generation, platformv1alpha1.ConditionControlPlaneReady, s, reason, message)
		return status.Patch(ctx, r.client, vc, before)
	})
}

func (r *runner) reportReady(ctx context.Context) error {
	return r.report(ctx, metav1.ConditionTrue, platformv1alpha1.ReasonAvailable, "")
}

// failed tells why the control plane does not serve, and that it is tried again.
func (r *runner) failed(ctx context.Context, cause error) {
	r.metrics.failures.Inc()
	log.FromContext(ctx).Error(cause, "not serving; trying again")
	err := r.report(ctx, metav1.ConditionFalse, platformv1alpha1.ReasonUnavailable,
		fmt.Sprintf("pool member %s tries again: %v", r.Member, cause))
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot report the failure")
	}
}

// reportStopped tells that this member gave the virtual cluster up.
func (r *runner) reportStopped(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	err := r.report(ctx, metav1.ConditionFalse, platformv1alpha1.ReasonUnavailable,
		fmt.Sprintf("pool member %s has stopped; waiting for a member to take the control plane", r.Member))
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot report the stop")
	}
}

// finish says that a virtual cluster that is being deleted has stopped for good.
func (r *runner) finish(ctx context.Context) error {
	if err := r.deleteEndpoints(ctx); err != nil {
		return err
	}
	if err := r.report(ctx, metav1.ConditionFalse, platformv1alpha1.ReasonDeleting, "the control plane has stopped"); err != nil {
		return err
	}
	err := r.change(ctx, func(vc, before *platformv1alpha1.VirtualCluster) error {
		if !controllerutil.RemoveFinalizer(vc, platformv1alpha1.FinalizerControlPlane) {
			return nil
		}
		return r.client.Patch(ctx, vc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
	if err != nil {
		return fmt.Errorf("removing finalizer %s: %w", platformv1alpha1.FinalizerControlPlane, err)
	}
	r.retired = true
	return nil
}

// deleteLease removes the Lease that nobody needs any more. It stays when another member has it, perhaps already for
// the next virtual cluster of the name: without it two could serve that one.
func (r *runner) deleteLease(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	leases := r.clients.CoordinationV1().Leases(r.Namespace)
	lease, err := leases.Get(ctx, r.leaseName(), metav1.GetOptions{})
	if err == nil {
		if holder := ptr.Deref(lease.Spec.HolderIdentity, ""); holder != "" && holder != r.Member {
			return
		}
		err = leases.Delete(ctx, r.leaseName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &lease.ResourceVersion}})
	}
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		log.FromContext(ctx).Error(err, "cannot delete the Lease", "lease", r.leaseName())
	}
}
