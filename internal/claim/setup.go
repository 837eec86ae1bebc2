// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/requeue"
)

// Options of the claim stages.
type Options struct {
	// ArgoNamespace is where AppProjects and Applications live. Default "argocd".
	ArgoNamespace string
	// DemoImage runs until a person names an image: the platform's demo application. Required.
	DemoImage string
	// Domain under which exposed applications answer, as NAME.DOMAIN. Empty when the
	// platform has none.
	Domain string
	// KubernetesVersion that virtual clusters serve, without v ("1.37.2"). A claim that asks for
	// another is refused. Empty leaves the question to the virtual cluster stage.
	KubernetesVersion string
	// DeletionPatience is how long a deletion waits for the application to leave its virtual cluster
	// before it deletes that with what is left in it. Default 3 minutes.
	DeletionPatience time.Duration
	// Concurrency is how many claims of a kind are reconciled at a time. Default 8.
	Concurrency int
}

func (o *Options) complete() error {
	if o.DemoImage == "" {
		return errors.New("setting up the claim stages: Options.DemoImage is needed")
	}
	o.ArgoNamespace = cmp.Or(o.ArgoNamespace, "argocd")
	o.DeletionPatience = cmp.Or(o.DeletionPatience, 3*time.Minute)
	o.Concurrency = cmp.Or(o.Concurrency, 8)
	return nil
}

// retryConflict is when to look again after somebody else wrote first. That may have been to another object than the
// claim, so no event is sure to bring us back.
const retryConflict = 50 * time.Millisecond

// Fields by which the cache finds claims.
const (
	indexName   = "skerry.spec.name"   // either kind, by spec.name
	indexTarget = "skerry.target"      // ApplicationClaim, by the virtual cluster that it runs in
	indexLabel  = "skerry.claim-label" // either kind, by the label of its children
)

// SetupWithManager adds the reconcilers of ApplicationClaim and VClusterEnvironmentClaim. The manager's
// scheme must know platform.skerry.dev/v1alpha1 and argoproj.io/v1alpha1.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	if err := opts.complete(); err != nil {
		return err
	}
	if err := addIndexes(mgr.GetFieldIndexer()); err != nil {
		return err
	}
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return fmt.Errorf("making the claim stages' client: %w", err)
	}
	w := writer{applier: apply.New(direct, fieldOwner), live: direct, scheme: mgr.GetScheme()}
	observe, err := stageHistogram(metrics.Registry)
	if err != nil {
		return err
	}
	rm := remover{client: mgr.GetClient(), live: direct, events: teller{mgr.GetEventRecorder(fieldOwner)}}
	applications := &applicationReconciler{remover: rm, writer: w, opts: opts, finished: observe}
	if err := applications.setup(mgr); err != nil {
		return fmt.Errorf("setting up the controller of ApplicationClaims: %w", err)
	}
	environments := &environmentReconciler{remover: rm, writer: w, opts: opts}
	if err := environments.setup(mgr); err != nil {
		return fmt.Errorf("setting up the controller of VClusterEnvironmentClaims: %w", err)
	}
	return nil
}

func (r *applicationReconciler) setup(mgr ctrl.Manager) error {
	concerned := handler.EnqueueRequestsFromMapFunc(r.concerned)
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ApplicationClaim{}).
		Watches(&v1alpha1.Repository{}, concerned).
		Watches(&argov1alpha1.AppProject{}, concerned).
		Watches(&argov1alpha1.Application{}, concerned).
		Watches(&v1alpha1.VClusterEnvironmentClaim{}, handler.EnqueueRequestsFromMapFunc(r.inEnvironment)).
		Watches(&v1alpha1.ApplicationClaim{}, handler.EnqueueRequestsFromMapFunc(r.rivals)).
		Named("applicationclaim").
		WithOptions(controller.Options{MaxConcurrentReconciles: r.opts.Concurrency, SkipNameValidation: ptr.To(true), RateLimiter: requeue.Limiter()}).
		Complete(r)
}

func (r *environmentReconciler) setup(mgr ctrl.Manager) error {
	byLabel := handler.EnqueueRequestsFromMapFunc(claimsByLabel(mgr.GetClient(), func() client.ObjectList { return &v1alpha1.VClusterEnvironmentClaimList{} }))
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.VClusterEnvironmentClaim{}).
		Watches(&v1alpha1.VirtualCluster{}, byLabel).
		Watches(&v1alpha1.VirtualCluster{}, handler.EnqueueRequestsFromMapFunc(r.named)).
		Watches(&v1alpha1.VirtualNamespace{}, handler.EnqueueRequestsFromMapFunc(r.named)).
		Watches(&v1alpha1.ApplicationClaim{}, handler.EnqueueRequestsFromMapFunc(r.guests), builder.WithPredicates(ending())).
		Watches(&v1alpha1.VClusterEnvironmentClaim{}, handler.EnqueueRequestsFromMapFunc(r.rivals), builder.WithPredicates(ending())).
		Named("vclusterenvironmentclaim").
		WithOptions(controller.Options{MaxConcurrentReconciles: r.opts.Concurrency, SkipNameValidation: ptr.To(true), RateLimiter: requeue.Limiter()}).
		Complete(r)
}

// ending lets through what begins to be deleted, and what is gone.
func ending() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return !e.Object.GetDeletionTimestamp().IsZero() },
		UpdateFunc:  func(e event.UpdateEvent) bool { return !e.ObjectNew.GetDeletionTimestamp().IsZero() },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

func addIndexes(indexer client.FieldIndexer) error {
	byLabel := func(o client.Object) []string { return []string{label(o)} }
	for _, index := range []struct {
		kind  client.Object
		field string
		value client.IndexerFunc
	}{
		{&v1alpha1.ApplicationClaim{}, indexLabel, byLabel},
		{&v1alpha1.VClusterEnvironmentClaim{}, indexLabel, byLabel},
		{&v1alpha1.ApplicationClaim{}, indexName, func(o client.Object) []string {
			c, ok := o.(*v1alpha1.ApplicationClaim)
			return one(ok, func() string { return c.Spec.Name })
		}},
		{&v1alpha1.ApplicationClaim{}, indexTarget, func(o client.Object) []string {
			c, ok := o.(*v1alpha1.ApplicationClaim)
			return one(ok, func() string { return request.Target(c.Spec) })
		}},
		{&v1alpha1.VClusterEnvironmentClaim{}, indexName, func(o client.Object) []string {
			c, ok := o.(*v1alpha1.VClusterEnvironmentClaim)
			return one(ok, func() string { return c.Spec.Name })
		}},
	} {
		if err := indexer.IndexField(context.Background(), index.kind, index.field, index.value); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", index.kind, index.field, err)
		}
	}
	return nil
}

func one(ok bool, value func() string) []string {
	if !ok {
		return nil
	}
	return []string{value()}
}

// claimsByLabel maps a child to the claim that its label names.
func claimsByLabel(c client.Reader, list func() client.ObjectList) handler.MapFunc {
	return func(ctx context.Context, child client.Object) []reconcile.Request {
		value := child.GetLabels()[v1alpha1.LabelClaim]
		if value == "" {
			return nil
		}
		return requests(ctx, c, list(), client.MatchingFields{indexLabel: value})
	}
}

// concerned maps a child to the claim that it was made for, and to those that want its name: they wait for its
// end. That claim is gone from the cache before its last child may be, so its own end does not wake them for good.
func (r *applicationReconciler) concerned(ctx context.Context, child client.Object) []reconcile.Request {
	list := func() client.ObjectList { return &v1alpha1.ApplicationClaimList{} }
	out := claimsByLabel(r.client, list)(ctx, child)
	for _, application := range request.Applications(child.GetName()) {
		out = append(out, requests(ctx, r.client, list(), client.MatchingFields{indexName: application})...)
	}
	return out
}

// inEnvironment maps an environment to the applications that run in it.
func (r *applicationReconciler) inEnvironment(ctx context.Context, o client.Object) []reconcile.Request {
	env, ok := o.(*v1alpha1.VClusterEnvironmentClaim)
	if !ok {
		return nil
	}
	return requests(ctx, r.client, &v1alpha1.ApplicationClaimList{},
		client.InNamespace(env.Namespace), client.MatchingFields{indexTarget: env.Spec.Name})
}

// rivals maps an application to those that a change of it may concern, most of all its end: they want its name,
// or it runs in their environment.
func (r *applicationReconciler) rivals(ctx context.Context, o client.Object) []reconcile.Request {
	claim, ok := o.(*v1alpha1.ApplicationClaim)
	if !ok {
		return nil
	}
	out := requests(ctx, r.client, &v1alpha1.ApplicationClaimList{}, client.MatchingFields{indexName: claim.Spec.Name})
	return append(out, requests(ctx, r.client, &v1alpha1.ApplicationClaimList{},
		client.InNamespace(claim.Namespace), client.MatchingFields{indexTarget: request.Target(claim.Spec)})...)
}

// guests maps an application to the environment that it runs in, which waits for its end before it goes.
func (r *environmentReconciler) guests(ctx context.Context, o client.Object) []reconcile.Request {
	claim, ok := o.(*v1alpha1.ApplicationClaim)
	if !ok {
		return nil
	}
	return requests(ctx, r.client, &v1alpha1.VClusterEnvironmentClaimList{},
		client.InNamespace(claim.Namespace), client.MatchingFields{indexName: request.Target(claim.Spec)})
}

// rivals maps an environment that ends to those that want its name. Its VirtualCluster is gone before it is.
func (r *environmentReconciler) rivals(ctx context.Context, o client.Object) []reconcile.Request {
	claim, ok := o.(*v1alpha1.VClusterEnvironmentClaim)
	if !ok {
		return nil
	}
	return requests(ctx, r.client, &v1alpha1.VClusterEnvironmentClaimList{}, client.MatchingFields{indexName: claim.Spec.Name})
}

// named maps a VirtualCluster, or an object in its home namespace, to the claims for its name:
// also those that wait for it to go.
func (r *environmentReconciler) named(ctx context.Context, o client.Object) []reconcile.Request {
	return requests(ctx, r.client, &v1alpha1.VClusterEnvironmentClaimList{},
		client.MatchingFields{indexName: cmp.Or(o.GetNamespace(), o.GetName())})
}

func requests(ctx context.Context, c client.Reader, list client.ObjectList, opts ...client.ListOption) []reconcile.Request {
	if err := c.List(ctx, list, opts...); err != nil {
		log.FromContext(ctx).Error(err, "finding the claims of a change")
		return nil
	}
	var out []reconcile.Request
	_ = eachItem(list, func(o client.Object) error {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}})
		return nil
	})
	return out
}

// stageHistogram registers skerry_claim_stage_duration_seconds{stage} and returns the function that
// fills it. A manager started twice in one process shares it.
func stageHistogram(registry prometheus.Registerer) (func(v1alpha1.StageTiming), error) {
	histogram := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "skerry_claim_stage_duration_seconds",
		Help:    "From the end of the stage before (or the request) to the first time that the stage of an ApplicationClaim was done.",
		Buckets: prometheus.ExponentialBuckets(0.05, 2, 14),
	}, []string{"stage"})
	err := registry.Register(histogram)
	var before prometheus.AlreadyRegisteredError
	if errors.As(err, &before) {
		existing, ok := before.ExistingCollector.(*prometheus.HistogramVec)
		if !ok {
			return nil, fmt.Errorf("registering the metric of stages: %w", err)
		}
		histogram = existing
	} else if err != nil {
		return nil, fmt.Errorf("registering the metric of stages: %w", err)
	}
	return func(t v1alpha1.StageTiming) {
		histogram.WithLabelValues(t.Name).Observe(t.FinishedAt.Sub(t.StartedAt.Time).Seconds())
	}, nil
}
