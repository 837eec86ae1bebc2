// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apply writes rendered objects (stations 2, 6 and 7 of docs/flow.md) and removes
// the ones that are no longer wanted. It is the only writer of rendered objects:
// server-side apply with one field manager per caller, an inventory of what was
// applied, and deletion from that inventory, never from a new render.
package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Applier applies and prunes on one cluster as one field manager.
type Applier struct {
	client  client.Client
	manager *ssa.ResourceManager
	owner   string
	// Force recreates an object when only that lets a change of an immutable field through.
	Force bool
}

// New returns an Applier. The client should read from the API server, not from a
// cache: what is decided here must not be older than the last write.
func New(c client.Client, fieldOwner string) *Applier {
	poller := polling.NewStatusPoller(c, c.RESTMapper(), polling.Options{})
	manager := ssa.NewResourceManager(c, poller, ssa.Owner{Field: fieldOwner, Group: fieldOwner})
	manager.SetConcurrency(4)
	return &Applier{client: c, manager: manager, owner: fieldOwner}
}

// Apply brings the objects to the cluster: definitions and namespaces first, then the
// rest. Every object is tried against the API server (dry run) before the first of its
// group is written, so one that is refused stops the whole group. The inventory
// returned holds every object that may exist because of this call, also with an
// error; keep the union of it and the old inventory until a call succeeds.
func (a *Applier) Apply(ctx context.Context, objs ...*unstructured.Unstructured) (Inventory, error) {
	copies := make([]*unstructured.Unstructured, 0, len(objs))
	for _, o := range objs {
		copies = append(copies, o.DeepCopy())
	}
	opts := ssa.DefaultApplyOptions()
	opts.Force = a.Force
	opts.WaitInterval, opts.WaitTimeout = 100*time.Millisecond, 30*time.Second
	inv := Of(objs...)
	if _, err := a.manager.ApplyAllStaged(ctx, copies, opts); err != nil {
		return inv, fmt.Errorf("applying: %w", withoutValues(err))
	}
	return inv, nil
}

// Prune deletes what is in old and not in wanted, as Delete does in the background.
func (a *Applier) Prune(ctx context.Context, old, wanted Inventory) (Inventory, error) {
	return a.Delete(ctx, Difference(old, wanted), metav1.DeletePropagationBackground)
}

// Delete deletes objects and returns what is still there (terminating, or not to be
// reached). It leaves alone an object that this field manager never wrote, and one
// whose kind is no longer served. In the foreground an object stays until what it
// owns is gone.
func (a *Applier) Delete(ctx context.Context, inv Inventory, policy metav1.DeletionPropagation) (Inventory, error) {
	remaining := Inventory{}
	var errs []error
	for _, e := range inv {
		gone, err := a.delete(ctx, e, policy)
		if err != nil {
			errs = append(errs, fmt.Errorf("deleting %s: %w", e, err))
		}
		if !gone {
			remaining = append(remaining, e)
		}
	}
	return remaining, errors.Join(errs...)
}

// delete asks for the deletion of one object and reports whether it is gone.
func (a *Applier) delete(ctx context.Context, e Entry, policy metav1.DeletionPropagation) (gone bool, err error) {
	o := e.Object()
	err = a.client.Get(ctx, client.ObjectKeyFromObject(o), o)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return true, nil
	case err != nil:
		return false, err
	case !a.owns(o):
		return true, nil
	case !o.GetDeletionTimestamp().IsZero():
		return false, nil
	}
	uid := o.GetUID()
	err = a.client.Delete(ctx, o, client.PropagationPolicy(policy),
		client.Preconditions{UID: &uid})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, err
	}
	err = a.client.Get(ctx, client.ObjectKeyFromObject(o), o)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return false, err
}

// owns reports whether this field manager applied any field of the object.
func (a *Applier) owns(o *unstructured.Unstructured) bool {
	for _, f := range o.GetManagedFields() {
		if f.Manager == a.owner && f.Operation == metav1.ManagedFieldsOperationApply {
			return true
		}
	}
	return false
}
