// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/apply"
)

// leaving are objects on their way out.
type leaving struct {
	// going are being deleted; later are kept until they are gone.
	going, later apply.Inventory
	// components that later belongs to.
	components []string
}

func (l leaving) all() apply.Inventory { return apply.Union(l.going, l.later) }

// String says what is waited for.
func (l leaving) String() string {
	texts := make([]string, 0, len(l.going))
	for _, e := range l.going {
		texts = append(texts, e.String())
	}
	out := "waiting for the deletion of " + strings.Join(texts, ", ")
	if len(l.components) > 0 {
		out += fmt.Sprintf("; then component %s goes, which it depends on", strings.Join(l.components, ", "))
	}
	return out
}

// firstToGo returns, of objects that are all to go, those that nothing depends on which
// is still there: the reverse of the order in which they came. What only depends on
// itself in a circle, which editing back and forth can make, goes at once.
func firstToGo(all []oamv1.ManagedResource) (now, later []oamv1.ManagedResource) {
	for _, m := range all {
		needed := slices.ContainsFunc(all, func(other oamv1.ManagedResource) bool {
			return other.Component != m.Component && slices.Contains(other.DependsOn, m.Component)
		})
		if needed {
			later = append(later, m)
		} else {
			now = append(now, m)
		}
	}
	if len(now) == 0 {
		return later, nil
	}
	return now, later
}

// remove deletes what is in the inventory and not wanted, one component after the other,
// and returns what is still there. Objects that another Application has taken since
// are only forgotten.
func (r *reconciler) remove(ctx context.Context, app types.NamespacedName, inv *inventory, wanted apply.Inventory) (leaving, error) {
	there, err := r.ours(ctx, app, inv, wanted)
	if err != nil {
		return leaving{going: entriesOf(there)}, err
	}
	var out leaving
	for {
		now, later := firstToGo(there)
		policy := metav1.DeletePropagationBackground
		if len(later) > 0 {
			policy = metav1.DeletePropagationForeground // what comes next may be in use by their Pods
		}
		now = slices.DeleteFunc(now, func(m oamv1.ManagedResource) bool { return out.going.Contains(entryOf(m)) })
		remaining, err := r.applier.Delete(ctx, entriesOf(now), policy)
		out.going = apply.Union(out.going, remaining)
		there = slices.DeleteFunc(there, func(m oamv1.ManagedResource) bool {
			return apply.Inventory(entriesOf(now)).Contains(entryOf(m)) && !remaining.Contains(entryOf(m))
		})
		if err != nil || len(now) == len(remaining) { // no more can go now
			later = slices.DeleteFunc(slices.Clone(there), func(m oamv1.ManagedResource) bool { return out.going.Contains(entryOf(m)) })
			out.later, out.components = entriesOf(later), componentsOf(later)
			return out, err
		}
	}
}

// ours returns what is in the inventory, not wanted, and still this Application's. With an error,
// what it could not find out about is taken for that.
func (r *reconciler) ours(ctx context.Context, app types.NamespacedName, inv *inventory, wanted apply.Inventory) ([]oamv1.ManagedResource, error) {
	var out []oamv1.ManagedResource
	var errs []error
	for _, m := range inv.tracker.Spec.ManagedResources {
		e := entryOf(m)
		if wanted.Contains(e) {
			continue
		}
		o := e.Object()
		if _, err := r.mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version); err != nil {
			out = append(out, m) // Delete knows what an unserved kind means
			continue
		}
		live, err := r.live.get(ctx, o)
		if err == nil && live != nil {
			err = r.live.watch(app, o.GroupVersionKind())
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case live == nil, owner(live).Name != "" && owner(live) != app:
			continue
		}
		out = append(out, m)
	}
	return out, errors.Join(errs...)
}

func entryOf(m oamv1.ManagedResource) apply.Entry {
	return apply.Entry{APIVersion: m.APIVersion, Kind: m.Kind, Namespace: m.Namespace, Name: m.Name}
}

func entriesOf(all []oamv1.ManagedResource) apply.Inventory {
	out := make(apply.Inventory, 0, len(all))
	for _, m := range all {
		out = append(out, entryOf(m))
	}
	return apply.Union(out)
}

// componentsOf names components for a message.
func componentsOf(all []oamv1.ManagedResource) []string {
	var out []string
	for _, m := range all {
		if name := fmt.Sprintf("%q", m.Component); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
