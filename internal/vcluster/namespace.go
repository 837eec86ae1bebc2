// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
	"github.com/skerry-platform/skerry/internal/status"
)

// releaseKind is what must be uninstalled before a host namespace may go.
var releaseKind = schema.GroupVersionKind{Group: "helm.m.crossplane.io", Version: "v1beta1", Kind: "Release"}

func releaseMeta() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(releaseKind)
	return o
}

// namespaceReconciler makes the host namespace that a VirtualNamespace asks for.
type namespaceReconciler struct {
	client client.Client
	store  store
	opts   Options
	events events.EventRecorder
}

// Reconcile implements reconcile.Reconciler.
func (r *namespaceReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	vns := &v1alpha1.VirtualNamespace{}
	if err := r.client.Get(ctx, req.NamespacedName, vns); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if vns.Annotations[v1alpha1.AnnotationPaused] == "true" {
		before := vns.DeepCopy()
		paused(&vns.Status.Conditions, vns.Generation)
		return finish(ctx, ctrl.Result{}, nil, status.Patch(ctx, r.client, vns, before))
	}
	if !vns.DeletionTimestamp.IsZero() {
		return r.reconcileDeletion(ctx, vns)
	}
	if err := addFinalizer(ctx, r.client, vns, v1alpha1.FinalizerCleanup); err != nil {
		return finish(ctx, ctrl.Result{}, nil, err)
	}
	before := vns.DeepCopy()
	waiting, err := r.provide(ctx, vns)
	vns.Status.HostNamespace = v1alpha1.HostNamespace(vns.Namespace, vns.Name)
	summarizeNamespace(vns, waiting, err)
	return finish(ctx, ctrl.Result{}, err, r.write(ctx, vns, before))
}

// write writes the status and tells what changed.
func (r *namespaceReconciler) write(ctx context.Context, vns, before *v1alpha1.VirtualNamespace) error {
	err := status.Patch(ctx, r.client, vns, before)
	if err == nil {
		status.Announce(r.events, vns, before.Status.Conditions, vns.Status.Conditions, v1alpha1.ConditionReady)
	}
	return err
}

// provide makes the host namespace with what limits the tenant there, and lets the tenant in
// when all of that is in force.
func (r *namespaceReconciler) provide(ctx context.Context, vns *v1alpha1.VirtualNamespace) (waiting string, err error) {
	vc := &v1alpha1.VirtualCluster{}
	err = r.client.Get(ctx, client.ObjectKey{Name: vns.Namespace}, vc)
	switch {
	case apierrors.IsNotFound(err):
		return "", blocked{reason: reasonNoCluster, message: fmt.Sprintf("there is no VirtualCluster %s: a VirtualNamespace belongs into the home namespace of one", vns.Namespace)}
	case err != nil:
		return "", fmt.Errorf("reading VirtualCluster %s: %w", vns.Namespace, err)
	case !vc.DeletionTimestamp.IsZero():
		return "", blocked{reason: v1alpha1.ReasonDeleting, message: fmt.Sprintf("VirtualCluster %s is being deleted", vc.Name)}
	}
	if err := r.store.requireHome(ctx, vc.Name); err != nil {
		return "", err
	}
	if err := r.store.claimNamespace(ctx, hostNamespace(vns, r.opts.PodSecurity)); err != nil {
		return "", err
	}
	group, gctx := errgroup.WithContext(ctx)
	for _, o := range fences(vc, vns) {
		group.Go(func() error { return r.store.ensure(gctx, o) })
	}
	if vc.Spec.Quota == nil {
		group.Go(func() error { return r.store.removeQuota(gctx, vns) })
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	door := admission(vc, vns, r.opts)
	waiting, err = r.store.awaitQuota(ctx, vc, vns)
	if err != nil {
		return "", err
	}
	if waiting != "" {
		live := door.DeepCopyObject().(client.Object)
		if err := r.store.Get(ctx, client.ObjectKeyFromObject(door), live); err != nil {
			return waiting, client.IgnoreNotFound(err)
		}
		return "", r.store.ensure(ctx, door, only(live)) // in already, before there was a quota
	}
	return "", r.store.ensure(ctx, door)
}

// requireHome returns blocked when the namespace of the virtual cluster's name is not its home. What the
// cache does not have may be a moment old: the API server is asked.
func (s store) requireHome(ctx context.Context, virtualCluster string) error {
	home, live := homeNamespace(virtualCluster), &corev1.Namespace{}
	err := s.Get(ctx, client.ObjectKeyFromObject(home), live) // the cache: only ours
	if apierrors.IsNotFound(err) {
		err = s.direct.Get(ctx, client.ObjectKeyFromObject(home), live)
	}
	switch {
	case client.IgnoreNotFound(err) != nil:
		return wrap(err, "reading", home)
	case err != nil, live.Labels[labelManagedBy] != managedBy, live.Labels[v1alpha1.LabelVirtualCluster] != virtualCluster:
		return blocked{reason: reasonNamespaceTaken, message: fmt.Sprintf("namespace %s is not VirtualCluster %s's home: see its conditions", home.Name, virtualCluster)}
	}
	return nil
}

// awaitQuota says that the API server does not limit the namespace yet. It admits anything
// before a new ResourceQuota has a status.
func (s store) awaitQuota(ctx context.Context, vc *v1alpha1.VirtualCluster, vns *v1alpha1.VirtualNamespace) (waiting string, err error) {
	q := resourceQuota(vc.Name, v1alpha1.HostNamespace(vns.Namespace, vns.Name), nil)
	if err := s.Get(ctx, client.ObjectKeyFromObject(q), q); client.IgnoreNotFound(err) != nil {
		return "", wrap(err, "reading", q)
	}
	for name := range quota.Total(vc.Spec.Quota) {
		if _, counted := q.Status.Used[name]; !counted {
			return fmt.Sprintf("waiting until the host enforces ResourceQuota %s, which is its controller-manager's work", client.ObjectKeyFromObject(q)), nil
		}
	}
	return "", nil
}

func (r *namespaceReconciler) reconcileDeletion(ctx context.Context, vns *v1alpha1.VirtualNamespace) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(vns, v1alpha1.FinalizerCleanup) {
		return ctrl.Result{}, nil
	}
	before := vns.DeepCopy()
	waiting, err := r.remove(ctx, vns)
	if err == nil && waiting == "" {
		err := removeFinalizer(ctx, r.client, vns, v1alpha1.FinalizerCleanup)
		if err == nil {
			r.events.Eventf(vns, nil, corev1.EventTypeNormal, reasonDeleted, "Reconcile", "host namespace %s is gone", vns.Status.HostNamespace)
		}
		return finish(ctx, ctrl.Result{}, nil, err)
	}
	summarizeNamespace(vns, waiting, err)
	return finish(ctx, ctrl.Result{}, err, r.write(ctx, vns, before))
}

// remove deletes the Releases, then the host namespace. A namespace that goes first
// takes away the rights and the Secrets that an uninstallation needs.
func (r *namespaceReconciler) remove(ctx context.Context, vns *v1alpha1.VirtualNamespace) (waiting string, err error) {
	ns := hostNamespace(vns, r.opts.PodSecurity)
	if waiting, err = r.store.deleteReleases(ctx, ns.Name); waiting != "" || err != nil {
		return waiting, err
	}
	return r.store.deleteNamespace(ctx, ns)
}

// deleteReleases lists from the API server, not from a cache: one Release overlooked is
// a namespace that never goes.
func (s store) deleteReleases(ctx context.Context, namespace string) (waiting string, err error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(releaseKind.GroupVersion().WithKind(releaseKind.Kind + "List"))
	err = s.direct.List(ctx, list, client.InNamespace(namespace))
	if apimeta.IsNoMatchError(err) || apierrors.IsNotFound(err) { // no Helm engine on this host
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("listing the Releases in %s: %w", namespace, err)
	}
	var left []string
	for i := range list.Items {
		name := list.Items[i].Name
		left = append(left, name)
		if !list.Items[i].DeletionTimestamp.IsZero() {
			continue
		}
		release := &unstructured.Unstructured{}
		release.SetGroupVersionKind(releaseKind)
		release.SetNamespace(namespace)
		release.SetName(name)
		if err := client.IgnoreNotFound(s.Delete(ctx, release)); err != nil {
			return "", fmt.Errorf("deleting Release %s/%s: %w", namespace, name, err)
		}
	}
	if len(left) == 0 {
		return "", nil
	}
	slices.Sort(left)
	return "waiting for Releases to be uninstalled: " + strings.Join(left, ", "), nil
}

// removeQuota takes back what an earlier spec.quota put into the namespace.
func (s store) removeQuota(ctx context.Context, vns *v1alpha1.VirtualNamespace) error {
	namespace := v1alpha1.HostNamespace(vns.Namespace, vns.Name)
	none := &v1alpha1.Quota{}
	for _, o := range []client.Object{
		resourceQuota(vns.Namespace, namespace, nil), limitRange(vns.Namespace, namespace, none),
	} {
		if err := s.Get(ctx, client.ObjectKeyFromObject(o), o); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return wrap(err, "reading", o)
		}
		if err := client.IgnoreNotFound(s.Delete(ctx, o)); err != nil {
			return wrap(err, "deleting", o)
		}
	}
	return nil
}

func summarizeNamespace(vns *v1alpha1.VirtualNamespace, waiting string, err error) {
	conds, gen := &vns.Status.Conditions, vns.Generation
	synced(conds, gen, err)
	s, reason, message := metav1.ConditionTrue, v1alpha1.ReasonAvailable, "host namespace "+vns.Status.HostNamespace
	var b blocked
	switch {
	case !vns.DeletionTimestamp.IsZero():
		s, reason, message = metav1.ConditionFalse, v1alpha1.ReasonDeleting, waiting
		if err != nil {
			message = err.Error()
		}
	case errors.As(err, &b):
		s, reason, message = metav1.ConditionFalse, b.reason, b.message
	case err != nil:
		s, reason, message = metav1.ConditionFalse, v1alpha1.ReasonUnavailable, err.Error()
	case waiting != "":
		s, reason, message = metav1.ConditionFalse, v1alpha1.ReasonCreating, waiting
	}
	status.Set(conds, gen, v1alpha1.ConditionReady, s, reason, message)
}
