// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/apply"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

// dispatched is what became of one component in a reconcile.
type dispatched struct {
	health render.ComponentHealth
	// waiting names the components that must be healthy first; the component itself
	// is then left as it is.
	waiting []string
	// err is why it could not be applied.
	err error
}

// dispatch brings the components to the cluster in order. A component waits until those
// that it depends on are healthy. One that is refused does not stop the others.
func (r *reconciler) dispatch(ctx context.Context, run *run) {
	run.components = make(map[string]*dispatched, len(run.result.Components))
	for _, c := range run.result.Components {
		d := &dispatched{}
		run.components[c.Name] = d
		for _, dep := range c.DependsOn {
			if !run.components[dep].health.Healthy {
				d.waiting = append(d.waiting, dep)
			}
		}
		if len(d.waiting) > 0 {
			// What is there from before keeps its health.
			var s sight
			s, d.err = r.look(ctx, run, c, false)
			d.health = s.health
			d.health.Healthy = false
			continue
		}
		d.health, d.err = r.dispatchComponent(ctx, run, c)
		if d.err != nil {
			d.health.Healthy = false
		}
	}
}

// dispatchComponent applies a component unless all of its objects are in the cluster as they
// were right after they were last applied, and returns its health.
func (r *reconciler) dispatchComponent(ctx context.Context, run *run, c *render.Component) (render.ComponentHealth, error) {
	for _, o := range c.Objects {
		if err := r.live.watch(client.ObjectKeyFromObject(run.app), o.GroupVersionKind()); err != nil {
			return render.ComponentHealth{}, err
		}
	}
	s, err := r.look(ctx, run, c, false)
	if err != nil || run.memory.isApplied(c.Name, run.key, s) {
		return s.health, err
	}
	if err := r.applyComponent(ctx, run, c); err != nil {
		return s.health, err
	}
	// What was just written may not have reached the watch.
	if s, err = r.look(ctx, run, c, true); err != nil {
		return s.health, err
	}
	run.memory.remember(c.Name, run.key, s)
	return s.health, nil
}

func (r *reconciler) applyComponent(ctx context.Context, run *run, c *render.Component) error {
	objects := c.Unstructured()
	for _, o := range objects {
		if err := r.mayApply(ctx, run, o); err != nil {
			return err
		}
	}
	wanted := apply.Union(run.inventory.entries(), apply.Of(objects...))
	if err := r.save(ctx, run.app, run.inventory, wanted, leaving{}, sources(run.result)); err != nil {
		return err
	}
	_, err := r.applier.Apply(ctx, objects...)
	return err
}

// mayApply refuses to take over an object of somebody else: of another Application, or
// one that was there before and is of none.
func (r *reconciler) mayApply(ctx context.Context, run *run, o *unstructured.Unstructured) error {
	live, err := r.live.get(ctx, o)
	if err != nil || live == nil {
		return err
	}
	switch of := owner(live); {
	case of == client.ObjectKeyFromObject(run.app):
		return nil
	case of.Name != "":
		return fmt.Errorf("%s %s belongs to Application %s; give one of the two another name", o.GetKind(), o.GetName(), of)
	case run.inventory.entries().Contains(apply.EntryOf(o)):
		return nil
	}
	return fmt.Errorf("%s %s already exists and belongs to no Application; delete it or give the component another name", o.GetKind(), o.GetName())
}

// look reads a component's objects and asks for their health, unless the watch says
// that nothing has changed since the last look; again does it in any case.
func (r *reconciler) look(ctx context.Context, run *run, c *render.Component, again bool) (sight, error) {
	last, ok := run.memory.seen[c.Name]
	if ok && !again && last.key == run.key && r.sameVersions(ctx, c, last.versions) {
		return last, nil
	}
	delete(run.memory.seen, c.Name)
	s := sight{key: run.key}
	live := map[*unstructured.Unstructured]*unstructured.Unstructured{}
	for _, o := range c.Objects {
		found, err := r.live.get(ctx, o.Unstructured)
		if err != nil {
			return s, err
		}
		live[o.Unstructured] = found
		s.add(found)
	}
	var err error
	if s.health, err = r.health(ctx, run, c, live); err != nil {
		return s, err
	}
	run.memory.seen[c.Name] = s
	return s, nil
}

func (r *reconciler) sameVersions(ctx context.Context, c *render.Component, versions []string) bool {
	for i, o := range c.Objects {
		if now, known := r.live.version(ctx, o.Unstructured); !known || now != versions[i] {
			return false
		}
	}
	return true
}

// health asks what the live objects say. Once its definitions were stopped at a limit,
// a component's health stays as it is until the version that runs is another.
func (r *reconciler) health(ctx context.Context, run *run, c *render.Component, live map[*unstructured.Unstructured]*unstructured.Unstructured) (render.ComponentHealth, error) {
	if s, ok := run.memory.unknowable[c.Name]; ok && s.key == run.key {
		return s.health, nil
	}
	h, err := c.Health(ctx, r.evaluator, func(o *unstructured.Unstructured) *unstructured.Unstructured { return live[o] })
	if err != nil {
		return h, fmt.Errorf("evaluating the health: %w", err)
	}
	delete(run.memory.unknowable, c.Name)
	if h.Refused != nil {
		run.memory.unknowable[c.Name] = stopped{key: run.key, health: h}
	}
	return h, nil
}
