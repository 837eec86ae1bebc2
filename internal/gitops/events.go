// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// start keeps the controller's queue and context for the watches on destinations and
// the webhook. The controller calls it before its first Reconcile.
func (r *reconciler) start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.base, r.queue = ctx, queue
	return nil
}

// inNamespace lets only objects of the engine's namespace through.
func (r *reconciler) inNamespace() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetNamespace() == r.opts.Namespace })
}

// applicationChanged leaves out the engine's own writes: status lies in the object itself, so
// the generation says nothing.
func applicationChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*argov1alpha1.Application)
		now, ok2 := e.ObjectNew.(*argov1alpha1.Application)
		if !ok || !ok2 {
			return true
		}
		asked := now.Annotations[argov1alpha1.AnnotationRefresh]
		return !equality.Semantic.DeepEqual(before.Spec, now.Spec) ||
			now.Operation != nil && !equality.Semantic.DeepEqual(before.Operation, now.Operation) ||
			asked != "" && asked != before.Annotations[argov1alpha1.AnnotationRefresh] ||
			now.DeletionTimestamp != nil && before.DeletionTimestamp == nil ||
			!equality.Semantic.DeepEqual(before.Finalizers, now.Finalizers)
	}}
}

// ofProject finds the Applications of an AppProject.
func (r *reconciler) ofProject(ctx context.Context, o client.Object) []reconcile.Request {
	return r.applications(ctx, func(app *argov1alpha1.Application) bool { return app.Spec.Project == o.GetName() })
}

// secretEvents asks for the Applications of a Secret, and lets go of a cluster whose Secret is gone.
func (r *reconciler) secretEvents() handler.TypedEventHandler[*corev1.Secret, reconcile.Request] {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(ctx context.Context, s *corev1.Secret, q queue) {
		for _, req := range r.ofSecret(ctx, s) {
			q.Add(req)
		}
	}
	return handler.TypedFuncs[*corev1.Secret, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[*corev1.Secret], q queue) {
			enqueue(ctx, e.Object, q)
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*corev1.Secret], q queue) {
			enqueue(ctx, e.ObjectOld, q)
			enqueue(ctx, e.ObjectNew, q)
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[*corev1.Secret], q queue) {
			r.destinations.forget(e.Object.Name)
			enqueue(ctx, e.Object, q)
		},
	}
}

// ofSecret finds the Applications of a cluster or repository Secret.
func (r *reconciler) ofSecret(ctx context.Context, s *corev1.Secret) []reconcile.Request {
	if s.Labels[argov1alpha1.LabelSecretType] == argov1alpha1.SecretTypeCluster {
		return r.applications(ctx, func(app *argov1alpha1.Application) bool {
			d := app.Spec.Destination
			return d.Name != "" && d.Name == string(s.Data["name"]) || d.Server != "" && d.Server == string(s.Data["server"])
		})
	}
	prefix := normalURL(string(s.Data["url"]))
	return r.applications(ctx, func(app *argov1alpha1.Application) bool {
		concerned := app.Spec.Source != nil && strings.HasPrefix(normalURL(app.Spec.Source.RepoURL), prefix)
		if concerned && hasErrors(app) {
			r.tracked(client.ObjectKeyFromObject(app)).refresh.Store(true)
		}
		return concerned
	})
}

// applications lists those that fit.
func (r *reconciler) applications(ctx context.Context, fits func(*argov1alpha1.Application) bool) []reconcile.Request {
	list := &argov1alpha1.ApplicationList{}
	if err := r.client.List(ctx, list, client.InNamespace(r.opts.Namespace)); err != nil {
		log.FromContext(ctx).Error(err, "listing Applications after a change")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if fits(&list.Items[i]) {
			out = append(out, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}

func hasErrors(app *argov1alpha1.Application) bool {
	for _, c := range app.Status.Conditions {
		if strings.HasSuffix(c.Type, "Error") {
			return true
		}
	}
	return false
}
