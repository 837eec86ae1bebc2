// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// usesVolume is the index, of the virtual cache, of the claims bound to a PersistentVolume.
const usesVolume = "uses.volume"

// volumes shows the PersistentVolume of each bound claim. Nobody reads the host's: what a claim
// says of its volume is enough, and a right to read them would be one to read every tenant's (docs/adr/0012-volumes-from-claims.md).
type volumes struct{ *tenant }

func setupVolumes(ctx context.Context, mgr manager.Manager, t *tenant, _ served) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &corev1.PersistentVolumeClaim{}, usesVolume, func(obj client.Object) []string {
		if claim := obj.(*corev1.PersistentVolumeClaim); bound(claim) {
			return []string{claim.Spec.VolumeName}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing PersistentVolumeClaims by volume: %w", err)
	}
	return builder.ControllerManagedBy(mgr).Named("syncer-persistentvolume").WithOptions(options(1)).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(volumeOf), builder.WithPredicates(predicate.Funcs{
			UpdateFunc: func(e event.UpdateEvent) bool { return !sameVolume(e.ObjectOld, e.ObjectNew) },
		})).
		Watches(&corev1.PersistentVolume{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(
			predicate.NewPredicateFuncs(func(obj client.Object) bool { return mirrored(obj) }))).
		Complete(&volumes{t})
}

func volumeOf(_ context.Context, obj client.Object) []reconcile.Request {
	if name := obj.(*corev1.PersistentVolumeClaim).Spec.VolumeName; name != "" {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: name}}}
	}
	return nil
}

// Reconcile makes the virtual PersistentVolume follow the claim that is bound to it.
func (s *volumes) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	start := time.Now()
	err := s.up(ctx, req.Name)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	observe("persistentvolume", "up", start, err)
	return reconcile.Result{}, err
}

func (s *volumes) up(ctx context.Context, name string) error {
	volume, err := find[corev1.PersistentVolume](ctx, s.virtual, types.NamespacedName{Name: name})
	if err != nil || (volume != nil && !mirrored(volume)) {
		return err // somebody's own volume of the name
	}
	claims := &corev1.PersistentVolumeClaimList{}
	if err := s.virtual.List(ctx, claims, client.MatchingFields{usesVolume: name}); err != nil {
		return fmt.Errorf("looking for the claim of PersistentVolume %s: %w", name, err)
	}
	switch {
	case len(claims.Items) == 0 && volume == nil:
		return nil
	case len(claims.Items) == 0:
		return s.dropMirror(ctx, volume)
	case volume == nil:
		return s.make(ctx, &claims.Items[0])
	case volume.DeletionTimestamp != nil:
		return nil // its end is the next event
	}
	wanted := s.virtualVolume(&claims.Items[0], volume.Spec.PersistentVolumeReclaimPolicy)
	if !sameDisk(volume, wanted) {
		return s.dropMirror(ctx, volume) // where a volume is cannot change: the next event makes it anew
	}
	before := volume.DeepCopy()
	mergeVolume(volume, wanted)
	if err := patch(ctx, s.virtual, volume, before); err != nil {
		return err
	}
	return s.report(ctx, volume)
}

func (s *volumes) make(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	policy, err := s.reclaimPolicy(ctx, claim)
	if err != nil {
		return err
	}
	volume := s.virtualVolume(claim, policy)
	if made, err := s.createMirror(ctx, volume); err != nil || !made {
		return err
	}
	return s.report(ctx, volume)
}

// report writes the phase, which only the status subresource takes.
func (s *volumes) report(ctx context.Context, volume *corev1.PersistentVolume) error {
	before := volume.DeepCopy()
	volume.Status.Phase = corev1.VolumeBound
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, volume, before))
}

// reclaimPolicy is what the claim's storage class says: the host's, because the tenant's copy may come later. A volume of no class was made by
// hand on the host, where Retain is the rule.
func (s *volumes) reclaimPolicy(ctx context.Context, claim *corev1.PersistentVolumeClaim) (corev1.PersistentVolumeReclaimPolicy, error) {
	name := claim.Spec.StorageClassName
	if name == nil || *name == "" || s.shared == nil {
		return corev1.PersistentVolumeReclaimRetain, nil
	}
	class, err := find[storagev1.StorageClass](ctx, s.shared, types.NamespacedName{Name: *name})
	if err != nil {
		return "", err
	}
	if class == nil || class.ReclaimPolicy == nil {
		return corev1.PersistentVolumeReclaimDelete, nil
	}
	return *class.ReclaimPolicy, nil
}
