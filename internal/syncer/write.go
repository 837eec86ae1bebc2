// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// addFinalizer holds a virtual object until its host object is gone. Admission adds it when
// an object is made; this is for objects that came another way.
func (t *tenant) addFinalizer(ctx context.Context, virtual client.Object) error {
	return t.patchFinalizer(ctx, virtual, controllerutil.AddFinalizer)
}

func (t *tenant) dropFinalizer(ctx context.Context, virtual client.Object) error {
	return t.patchFinalizer(ctx, virtual, controllerutil.RemoveFinalizer)
}

func (t *tenant) patchFinalizer(ctx context.Context, virtual client.Object, change func(client.Object, string) bool) error {
	before := virtual.DeepCopyObject().(client.Object)
	if !change(virtual, platformv1alpha1.FinalizerHost) {
		return nil
	}
	// The list of finalizers is replaced as a whole, so it must be the one that was read.
	err := t.virtual.Patch(ctx, virtual, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("changing the finalizer of %T %s: %w", virtual, client.ObjectKeyFromObject(virtual), err)
	}
	return nil
}

// dropMirror removes a virtual object whose host object is gone.
func (t *tenant) dropMirror(ctx context.Context, virtual client.Object) error {
	if err := t.dropFinalizer(ctx, virtual); err != nil {
		return err
	}
	if virtual.GetDeletionTimestamp() != nil {
		return nil
	}
	return remove(ctx, t.virtual, virtual)
}

// remove deletes exactly this object: never one of the same name that came after. One that is gone is fine.
func remove(ctx context.Context, c client.Client, obj client.Object, opts ...client.DeleteOption) error {
	err := c.Delete(ctx, obj, append(opts, client.Preconditions{UID: ptr.To(types.UID(obj.GetUID()))})...)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
	}
	return nil
}

// patch sends the difference between two states of one object, nothing when they are equal.
func patch(ctx context.Context, c client.Client, after, before client.Object) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	if err := namesake(c.Patch(ctx, after, patchFrom(before))); err != nil {
		return fmt.Errorf("changing %T %s: %w", after, client.ObjectKeyFromObject(before), err)
	}
	return nil
}

// patchStatus is patch for the status subresource.
func patchStatus(ctx context.Context, c client.Client, after, before client.Object) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	if err := namesake(c.Status().Patch(ctx, after, patchFrom(before))); err != nil {
		return fmt.Errorf("changing the status of %T %s: %w", after, client.ObjectKeyFromObject(before), err)
	}
	return nil
}

// patchFrom merges a Pod's lists by name, so that a container that somebody else changed at
// the same time is not set back. A Service's ports cannot be merged so: the API's merge key
// is the port alone, and TCP and UDP may share it.
func patchFrom(before client.Object) client.Patch {
	if _, isPod := before.(*corev1.Pod); isPod {
		return exactly{client.StrategicMergeFrom(before)}
	}
	return exactly{client.MergeFrom(before)}
}

// exactly is a patch of one object, never of one of the same name that came after: the API server refuses a UID that is another.
type exactly struct{ client.Patch }

// Data implements client.Patch.
func (p exactly) Data(obj client.Object) ([]byte, error) {
	data, err := p.Patch.Data(obj)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("reading a patch of %T: %w", obj, err)
	}
	if err := unstructured.SetNestedField(fields, string(obj.GetUID()), "metadata", "uid"); err != nil {
		return nil, fmt.Errorf("adding the UID to a patch of %T: %w", obj, err)
	}
	return json.Marshal(fields)
}

// namesake says of a change that met another object of the name what it is: a conflict, which the next look at the cache ends.
func namesake(err error) error {
	if refusedFor(err, "metadata.uid") {
		return apierrors.NewConflict(schema.GroupResource{}, "", err)
	}
	return err
}

// createMirror makes a virtual object for a host-made one. False when it could not be made just now for a
// reason whose end is an event: one of the name is there already, or the namespace is going.
func (t *tenant) createMirror(ctx context.Context, virtual client.Object) (bool, error) {
	err := t.virtual.Create(ctx, virtual)
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsAlreadyExists(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return false, nil
	}
	return false, fmt.Errorf("mirroring %T %s: %w", virtual, client.ObjectKeyFromObject(virtual), err)
}
