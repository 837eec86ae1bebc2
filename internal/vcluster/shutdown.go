// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// phase takes one part of a virtual cluster away. It says what it waits for, "" when
// the part is gone. It is called again, from the first phase on, each time something that it
// waits for changes.
type phase func(context.Context, *v1alpha1.VirtualCluster) (waiting string, err error)

// shutdown walks the phases in order and stops at the first that waits.
func (r *clusterReconciler) shutdown(ctx context.Context, vc *v1alpha1.VirtualCluster) (string, error) {
	for _, do := range []phase{
		awaitDrained,              // OAM Applications (drain.go)
		awaitUnregistered,         // Argo CD cluster Secret (internal/register)
		awaitStopped,              // control plane (the pool member)
		r.deleteVirtualNamespaces, // Releases and host namespaces
		r.deleteEtcdTenant,
		r.deleteHomeNamespace,
	} {
		if waiting, err := do(ctx, vc); waiting != "" || err != nil {
			return waiting, err
		}
	}
	return "", nil
}

func awaitDrained(_ context.Context, vc *v1alpha1.VirtualCluster) (string, error) {
	c := status.Get(vc.Status.Conditions, v1alpha1.ConditionDrained)
	switch {
	case c == nil:
		return "waiting for the OAM Applications in the virtual cluster to be deleted", nil
	case c.Status != metav1.ConditionTrue:
		return c.Message, nil
	}
	return "", nil
}

func awaitUnregistered(_ context.Context, vc *v1alpha1.VirtualCluster) (string, error) {
	if controllerutil.ContainsFinalizer(vc, v1alpha1.FinalizerRegistration) {
		return "waiting for the cluster Secret of the GitOps engine to be deleted", nil
	}
	return "", nil
}

// awaitStopped tells the pool member to stop, by Prepared, and waits until it has. A
// cluster that no member ever took has no finalizer to wait for.
func awaitStopped(_ context.Context, vc *v1alpha1.VirtualCluster) (string, error) {
	setPrepared(vc, metav1.ConditionFalse, v1alpha1.ReasonDeleting, "the control plane is to stop")
	if !controllerutil.ContainsFinalizer(vc, v1alpha1.FinalizerControlPlane) {
		return "", nil
	}
	member := vc.Status.Member
	if member == "" {
		member = "any"
	}
	return fmt.Sprintf("waiting for pool member %s to stop the control plane; if no member runs any more, start one (StatefulSet skerry-pool)", member), nil
}

func (r *clusterReconciler) deleteVirtualNamespaces(ctx context.Context, vc *v1alpha1.VirtualCluster) (string, error) {
	list := &v1alpha1.VirtualNamespaceList{} // not from a cache: one overlooked loses its identity before its Releases
	if err := r.store.direct.List(ctx, list, client.InNamespace(vc.Name)); err != nil {
		return "", fmt.Errorf("listing the VirtualNamespaces in %s: %w", vc.Name, err)
	}
	for i := range list.Items {
		vns := &list.Items[i]
		if vns.DeletionTimestamp.IsZero() {
			if err := client.IgnoreNotFound(r.client.Delete(ctx, vns)); err != nil {
				return "", wrap(err, "deleting", vns)
			}
		}
	}
	if len(list.Items) == 0 {
		return "", nil
	}
	waiting := fmt.Sprintf("waiting for %d host namespace(s) to be deleted", len(list.Items))
	for _, vns := range list.Items {
		if c := status.Get(vns.Status.Conditions, v1alpha1.ConditionReady); c != nil && c.Reason == v1alpha1.ReasonDeleting {
			return fmt.Sprintf("%s; %s: %s", waiting, v1alpha1.HostNamespace(vns.Namespace, vns.Name), c.Message), nil
		}
	}
	return waiting, nil
}

func (r *clusterReconciler) deleteEtcdTenant(ctx context.Context, vc *v1alpha1.VirtualCluster) (string, error) {
	return "", r.opts.Etcd.DeleteTenant(ctx, tenantOf(vc))
}

func (r *clusterReconciler) deleteHomeNamespace(ctx context.Context, vc *v1alpha1.VirtualCluster) (string, error) {
	return r.store.deleteNamespace(ctx, homeNamespace(vc.Name))
}

// deleteNamespace deletes a namespace of ours and tells what it still contains, as its own
// conditions say. Somebody else's is left alone.
func (s store) deleteNamespace(ctx context.Context, ns *corev1.Namespace) (string, error) {
	live := &corev1.Namespace{}
	err := s.direct.Get(ctx, client.ObjectKeyFromObject(ns), live)
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", wrap(err, "reading", ns)
	case live.Labels[labelManagedBy] != managedBy, live.Labels[v1alpha1.LabelVirtualCluster] != ns.Labels[v1alpha1.LabelVirtualCluster]:
		return "", nil
	case live.DeletionTimestamp.IsZero():
		if err := client.IgnoreNotFound(s.Delete(ctx, live, client.Preconditions{UID: &live.UID})); err != nil {
			return "", wrap(err, "deleting", ns)
		}
	}
	waiting := fmt.Sprintf("waiting for namespace %s to be deleted", ns.Name)
	for _, c := range live.Status.Conditions {
		if c.Status == corev1.ConditionTrue && c.Message != "" {
			waiting += ": " + c.Message
		}
	}
	return waiting, nil
}
