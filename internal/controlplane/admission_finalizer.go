// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// heldKinds are deleted in the virtual cluster only after their host object is gone.
// Not Pods: there the syncer does what a kubelet does, and Kubernetes' own protocol of a
// graceful deletion holds them.
var heldKinds = []schema.GroupResource{
	{Resource: "services"},
	{Resource: "persistentvolumeclaims"},
	{Group: "helm.crossplane.io", Resource: "releases"},
	{Group: "helm.m.crossplane.io", Resource: "releases"},
}

// finalizerPlugin adds FinalizerHost at creation, so that no deletion can come before it.
type finalizerPlugin struct{ *admission.Handler }

var _ admission.MutationInterface = &finalizerPlugin{}

func newFinalizerPlugin() *finalizerPlugin {
	return &finalizerPlugin{admission.NewHandler(admission.Create)}
}

// Admit adds the finalizer to an object that the syncer will make on the host.
func (*finalizerPlugin) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	obj := a.GetObject()
	if a.GetSubresource() != "" || isOurs(a.GetUserInfo()) || hostOwned(obj) ||
		!slices.Contains(heldKinds, a.GetResource().GroupResource()) {
		return nil
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	if finalizers := accessor.GetFinalizers(); !slices.Contains(finalizers, platformv1alpha1.FinalizerHost) {
		accessor.SetFinalizers(append(finalizers, platformv1alpha1.FinalizerHost))
	}
	return nil
}
