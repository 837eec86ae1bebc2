// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// holder says which of two virtual Releases has the slot: the one that the host Release was made
// from, else the older, else the cluster-scoped one.
func holder(host, cluster, namespaced *unstructured.Unstructured) (has, wants *unstructured.Unstructured) {
	switch {
	case cluster == nil:
		return namespaced, nil
	case namespaced == nil:
		return cluster, nil
	case host != nil && host.GetAnnotations()[platformv1alpha1.AnnotationVirtualScope] == "Cluster":
		return cluster, namespaced
	case host != nil:
		return namespaced, cluster
	}
	older, newer := namespaced.GetCreationTimestamp(), cluster.GetCreationTimestamp()
	if older.Before(&newer) {
		return namespaced, cluster
	}
	return cluster, namespaced
}

// turnAway tells the Release that wants a slot that another has it.
func (s *releases) turnAway(ctx context.Context, p slot) error {
	if p.contender.GetDeletionTimestamp() != nil {
		return s.dropFinalizer(ctx, p.contender) // it has nothing on the host
	}
	kind := "Release.helm.m.crossplane.io"
	if clusterScoped(p.virtual) {
		kind = "cluster-scoped Release.helm.crossplane.io"
	}
	return s.refuse(ctx, p.contender, fmt.Sprintf(
		"the %s %q already installs a Helm release of this name into namespace %q: rename this one or delete that one",
		kind, p.virtual.GetName(), p.key.Namespace))
}

// problem says in words for the user why a Release cannot be on the host; empty when it can.
func (s *releases) problem(ctx context.Context, p slot) (string, error) {
	if !s.has.hostReleases {
		return "the host does not serve Releases (helm.m.crossplane.io/v1beta1): ask the platform team to install the Helm engine", nil
	}
	if problem := checkRelease(p.virtual); problem != "" {
		return problem, nil
	}
	namespace, err := find[corev1.Namespace](ctx, s.virtual, types.NamespacedName{Name: p.key.Namespace})
	switch {
	case err != nil:
		return "", err
	case namespace == nil:
		return fmt.Sprintf("spec.forProvider.namespace: virtual cluster %q has no namespace %q; create it, or name one that it has",
			s.cluster, p.key.Namespace), nil
	case namespace.DeletionTimestamp != nil:
		return fmt.Sprintf("spec.forProvider.namespace: namespace %q is being deleted", p.key.Namespace), nil
	}
	return "", nil
}

// refuse writes Synced=False with the reason, where the user looks.
func (s *releases) refuse(ctx context.Context, release *unstructured.Unstructured, why string) error {
	if why == "" {
		return nil
	}
	before := release.DeepCopy()
	if !refuseRelease(release, why, now()) {
		return nil
	}
	s.events.Eventf(release, nil, corev1.EventTypeWarning, "CannotSync", "Sync", "%s", why)
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, release, before))
}

// report writes the host Release's status into the virtual one.
func (s *releases) report(ctx context.Context, p slot) error {
	status := virtualReleaseStatus(p.virtual, p.host)
	if status == nil || equality.Semantic.DeepEqual(p.virtual.Object["status"], any(status)) {
		return nil
	}
	before := p.virtual.DeepCopy()
	p.virtual.Object["status"] = status
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, p.virtual, before))
}

// hostGone says, from the host's API server, that the slot is empty.
func (s *releases) hostGone(ctx context.Context, p slot) (bool, error) {
	if p.space == nil {
		vns, err := s.spaces.virtualNamespace(ctx, p.key.Namespace)
		return err == nil && vns == nil, err
	}
	if !s.has.hostReleases {
		return true, nil
	}
	host, err := s.get(ctx, s.host, namespacedReleaseKind, types.NamespacedName{Namespace: p.space.host, Name: p.key.Name})
	return err == nil && (host == nil || !s.madeFromVirtual(host)), err
}
