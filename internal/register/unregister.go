// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package register

import (
	"context"
	"errors"
	"fmt"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// unregister deletes the Secret and lets the VirtualCluster go.
func (r *reconciler) unregister(ctx context.Context, vc *v1alpha1.VirtualCluster) error {
	s, err := r.current(ctx, vc.Name)
	var refused refusal
	if err != nil && !errors.As(err, &refused) { // somebody else's stays
		return err
	}
	if s != nil {
		if err := r.client.Delete(ctx, s, client.Preconditions{UID: &s.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the cluster Secret %s: %w", client.ObjectKeyFromObject(s), err)
		}
	}
	if vc.DeletionTimestamp.IsZero() && status.Get(vc.Status.Conditions, v1alpha1.ConditionRegistered) != nil {
		before := vc.DeepCopy()
		apimeta.RemoveStatusCondition(&vc.Status.Conditions, v1alpha1.ConditionRegistered)
		if err := status.Patch(ctx, r.client, vc, before); err != nil {
			return err
		}
	}
	before := vc.DeepCopy()
	controllerutil.RemoveFinalizer(vc, v1alpha1.FinalizerRegistration)
	log.FromContext(ctx).Info("unregistered")
	err = r.client.Patch(ctx, vc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}
