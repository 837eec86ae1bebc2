// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// onlyDeletes lets deletions through.
var onlyDeletes = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// onlyCreates lets creations through.
var onlyCreates = predicate.Funcs{
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// specChanges lets through what may change an object's references: not its status.
var specChanges = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration()
	},
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// selectorless lets Services without a selector through, before or after a change.
var selectorless = predicate.Funcs{
	CreateFunc:  func(e event.CreateEvent) bool { return withoutSelector(e.Object) },
	DeleteFunc:  func(e event.DeleteEvent) bool { return withoutSelector(e.Object) },
	UpdateFunc:  func(e event.UpdateEvent) bool { return withoutSelector(e.ObjectOld) || withoutSelector(e.ObjectNew) },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

func withoutSelector(obj client.Object) bool {
	service, isService := obj.(*corev1.Service)
	return isService && len(service.Spec.Selector) == 0
}

// specOrDeletion lets through the beginning and the end of an object, not its other changes.
var specOrDeletion = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return (e.ObjectOld.GetDeletionTimestamp() == nil) != (e.ObjectNew.GetDeletionTimestamp() == nil)
	},
	GenericFunc: func(event.GenericEvent) bool { return false },
}
