// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	corev1 "k8s.io/api/core/v1"
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

// appearsOrChanges lets a Service through that comes, goes, or becomes another type.
var appearsOrChanges = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, isService := e.ObjectOld.(*corev1.Service)
		after, both := e.ObjectNew.(*corev1.Service)
		return isService && both && before.Spec.Type != after.Spec.Type
	},
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// specOrDeletion lets through the beginning and the end of an object, not its other changes.
var specOrDeletion = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return (e.ObjectOld.GetDeletionTimestamp() == nil) != (e.ObjectNew.GetDeletionTimestamp() == nil)
	},
	GenericFunc: func(event.GenericEvent) bool { return false },
}
