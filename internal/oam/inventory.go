// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/apply"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

// inventory is an Application's ResourceTracker: every object that exists or may exist
// because of the Application. An object is listed before it is applied, and leaves the
// list when it has been seen to be gone, so a crash at any instant loses nothing.
//
// There is one tracker for an Application, not one for each of its versions as in
// KubeVela: what to delete is the difference between this list and what is wanted now,
// so editing back and forth can never delete what the newest version wants.
type inventory struct {
	tracker *oamv1.ResourceTracker
	exists  bool
}

// trackerName is APPLICATION.NAMESPACE. A namespace has no dots, so no two
// Applications share a name.
func trackerName(app *oamv1.Application) string { return app.Name + "." + app.Namespace }

func (r *reconciler) inventory(ctx context.Context, app *oamv1.Application) (*inventory, error) {
	inv := &inventory{tracker: &oamv1.ResourceTracker{}, exists: true}
	err := r.direct.Get(ctx, client.ObjectKey{Name: trackerName(app)}, inv.tracker)
	if err == nil {
		return inv, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the inventory of Application %s: %w", client.ObjectKeyFromObject(app), err)
	}
	inv.exists = false
	inv.tracker.ObjectMeta = metav1.ObjectMeta{
		Name:   trackerName(app),
		Labels: map[string]string{oamv1.LabelAppName: app.Name, oamv1.LabelAppNamespace: app.Namespace},
	}
	inv.tracker.Spec.Type = oamv1.ResourceTrackerTypeRoot
	// There is none yet, or somebody deleted it. What the status knows is then the best
	// there is; whose an object is is checked before it is deleted.
	for _, ref := range app.Status.AppliedResources {
		inv.tracker.Spec.ManagedResources = append(inv.tracker.Spec.ManagedResources, oamv1.ManagedResource{ClusterObjectReference: ref})
	}
	return inv, nil
}

// entries returns the inventory for package apply.
func (inv *inventory) entries() apply.Inventory {
	return entriesOf(inv.tracker.Spec.ManagedResources)
}

// references returns the inventory for an Application's status.
func (inv *inventory) references() []oamv1.ClusterObjectReference {
	var out []oamv1.ClusterObjectReference
	for _, m := range inv.tracker.Spec.ManagedResources {
		if !m.Deleted {
			out = append(out, m.ClusterObjectReference)
		}
	}
	return out
}

// origin says which component and trait an object was rendered for, and what the
// component depends on.
type origin struct {
	component, trait string
	dependsOn        []string
}

func sources(res *render.Result) map[apply.Entry]origin {
	out := map[apply.Entry]origin{}
	for _, c := range res.Components {
		for _, o := range c.Objects {
			s := origin{component: c.Name, dependsOn: c.DependsOn}
			if o.Trait >= 0 {
				s.trait = c.Traits[o.Trait].Type
			}
			out[apply.EntryOf(o.Unstructured)] = s
		}
	}
	return out
}

// save makes the inventory consist of what is wanted and what is leaving.
// from tells what wanted objects were rendered for; what it does not know keeps what
// is on record. Nothing is written when nothing changes.
func (r *reconciler) save(ctx context.Context, app *oamv1.Application, inv *inventory, wanted apply.Inventory, out leaving, from map[apply.Entry]origin) error {
	before := inv.tracker.DeepCopy()
	known := map[apply.Entry]oamv1.ManagedResource{}
	for _, m := range before.Spec.ManagedResources {
		known[entryOf(m)] = m
	}
	var resources []oamv1.ManagedResource
	for _, e := range apply.Union(wanted, out.all()) {
		m := known[e]
		m.ClusterObjectReference = oamv1.ClusterObjectReference{APIVersion: e.APIVersion, Kind: e.Kind, Namespace: e.Namespace, Name: e.Name}
		if s, ok := from[e]; ok {
			m.Component, m.Trait, m.DependsOn = s.component, s.trait, s.dependsOn
		}
		m.Deleted = !wanted.Contains(e)
		resources = append(resources, m)
	}
	inv.tracker.Spec.ManagedResources = resources
	inv.tracker.Spec.ApplicationGeneration = app.Generation
	if !inv.exists {
		if err := r.direct.Create(ctx, inv.tracker); err != nil {
			return fmt.Errorf("recording the inventory of Application %s: %w", client.ObjectKeyFromObject(app), err)
		}
		inv.exists = true
		return nil
	}
	if equality.Semantic.DeepEqual(before.Spec, inv.tracker.Spec) {
		return nil
	}
	if err := r.direct.Patch(ctx, inv.tracker, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("recording the inventory of Application %s: %w", client.ObjectKeyFromObject(app), err)
	}
	return nil
}
