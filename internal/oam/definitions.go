// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

// definitionNamespace holds the definitions that every Application may use.
const definitionNamespace = platformv1alpha1.DefinitionNamespace

// usesIndex finds the Applications that use a definition, by "component/TYPE" and "trait/TYPE".
const usesIndex = "uses"

func indexDefinitions(ctx context.Context, mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &oamv1.Application{}, usesIndex, func(o client.Object) []string {
		app, ok := o.(*oamv1.Application)
		if !ok {
			return nil
		}
		var uses []string
		for _, c := range app.Spec.Components {
			uses = append(uses, "component/"+c.Type)
			for _, t := range c.Traits {
				uses = append(uses, "trait/"+t.Type)
			}
		}
		return uses
	})
	if err != nil {
		return fmt.Errorf("indexing Applications by definition: %w", err)
	}
	return nil
}

// watchDefinitions wakes the Applications that use a definition when it changes, comes or
// goes. So a corrected definition heals its Applications without anybody touching them.
func (r *reconciler) watchDefinitions(b *builder.Builder) *builder.Builder {
	changed := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return b.
		Watches(&oamv1.ComponentDefinition{}, handler.EnqueueRequestsFromMapFunc(r.usersOf("component")), changed).
		Watches(&oamv1.TraitDefinition{}, handler.EnqueueRequestsFromMapFunc(r.usersOf("trait")), changed)
}

func (r *reconciler) usersOf(kind string) handler.MapFunc {
	return func(ctx context.Context, def client.Object) []reconcile.Request {
		opts := []client.ListOption{client.MatchingFields{usesIndex: kind + "/" + def.GetName()}, shared}
		if def.GetNamespace() != definitionNamespace {
			opts = append(opts, client.InNamespace(def.GetNamespace()))
		}
		apps := &oamv1.ApplicationList{}
		if err := r.cached.List(ctx, apps, opts...); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Listing the Applications that use a definition", kind, client.ObjectKeyFromObject(def))
			return nil
		}
		requests := make([]reconcile.Request, 0, len(apps.Items))
		for _, app := range apps.Items {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: app.Namespace, Name: app.Name}})
		}
		return requests
	}
}

// shared lists without copying; what is listed so must not be changed.
var shared = &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)}

// definitions returns what Applications in a namespace may use: its own definitions win
// over the platform's of the same name.
func (r *reconciler) definitions(ctx context.Context, namespace string) (render.Definitions, error) {
	defs := render.Definitions{Components: map[string]*oamv1.ComponentDefinition{}, Traits: map[string]*oamv1.TraitDefinition{}}
	for _, ns := range []string{definitionNamespace, namespace} {
		components, traits := &oamv1.ComponentDefinitionList{}, &oamv1.TraitDefinitionList{}
		if err := r.cached.List(ctx, components, client.InNamespace(ns), shared); err != nil {
			return defs, fmt.Errorf("listing ComponentDefinitions in %s: %w", ns, err)
		}
		if err := r.cached.List(ctx, traits, client.InNamespace(ns), shared); err != nil {
			return defs, fmt.Errorf("listing TraitDefinitions in %s: %w", ns, err)
		}
		for i := range components.Items {
			defs.Components[components.Items[i].Name] = &components.Items[i]
		}
		for i := range traits.Items {
			defs.Traits[traits.Items[i].Name] = &traits.Items[i]
		}
	}
	return defs, nil
}

// used returns the definitions that an Application names, as an ApplicationRevision keeps
// them: without anything that changes when their spec does not.
func used(app *oamv1.Application, defs render.Definitions) render.Definitions {
	out := render.Definitions{Components: map[string]*oamv1.ComponentDefinition{}, Traits: map[string]*oamv1.TraitDefinition{}}
	for _, c := range app.Spec.Components {
		if d, ok := defs.Components[c.Type]; ok {
			out.Components[c.Type] = &oamv1.ComponentDefinition{
				TypeMeta:   metav1.TypeMeta{APIVersion: oamv1.GroupVersion.String(), Kind: "ComponentDefinition"},
				ObjectMeta: metav1.ObjectMeta{Name: d.Name, Namespace: d.Namespace}, Spec: d.Spec,
			}
		}
		for _, t := range c.Traits {
			if d, ok := defs.Traits[t.Type]; ok {
				out.Traits[t.Type] = &oamv1.TraitDefinition{
					TypeMeta:   metav1.TypeMeta{APIVersion: oamv1.GroupVersion.String(), Kind: "TraitDefinition"},
					ObjectMeta: metav1.ObjectMeta{Name: d.Name, Namespace: d.Namespace}, Spec: d.Spec,
				}
			}
		}
	}
	return out
}
