// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package register

import (
	"cmp"
	"context"
	"net"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
	"github.com/skerry-platform/skerry/internal/requeue"
)

// Options of SetupWithManager.
type Options struct {
	// ArgoNamespace holds the Argo CD objects. Default argocd.
	ArgoNamespace string
	// TokenLife of the engine's token; the API server allows 10 minutes at least. Default 1 hour.
	TokenLife time.Duration
	// Timeout of one request to a virtual cluster. Default 10 s.
	Timeout time.Duration
	// Dial opens connections to virtual clusters. Default: straight to the address, within 5 s.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Concurrency is how many virtual clusters are registered at a time. Default 8.
	Concurrency int
}

func (o *Options) complete() {
	o.ArgoNamespace = cmp.Or(o.ArgoNamespace, "argocd")
	o.TokenLife = cmp.Or(o.TokenLife, time.Hour)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Concurrency = cmp.Or(o.Concurrency, 8)
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
}

// SetupWithManager adds the controller. The manager's cache is to hold Secrets of
// ArgoNamespace only (cache.Options.ByObject): their events are all that is used of it.
func SetupWithManager(mgr ctrl.Manager, opts Options) error {
	opts.complete()
	r := &reconciler{client: mgr.GetClient(), direct: mgr.GetAPIReader(), opts: opts, clock: clock.RealClock{}, events: mgr.GetEventRecorder(fieldOwner)}
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return o.GetNamespace() == opts.ArgoNamespace && nameOf(o) != ""
	})
	return ctrl.NewControllerManagedBy(mgr).Named("registration").
		For(&v1alpha1.VirtualCluster{}, builder.WithPredicates(quota.BesidesUsage())).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(clusterOf), builder.WithPredicates(ours)).
		WithOptions(controller.Options{MaxConcurrentReconciles: opts.Concurrency, SkipNameValidation: ptr.To(true), RateLimiter: requeue.Limiter()}).
		Complete(r)
}

// clusterOf maps a cluster Secret, or what stands in its place, to its VirtualCluster.
func clusterOf(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: nameOf(o)}}}
}

// nameOf is the name of the virtual cluster that a Secret of this name registers, empty for any other Secret. Labels do
// not count: somebody else's Secret has none, and its end is waited for.
func nameOf(o client.Object) string {
	if name, is := strings.CutPrefix(o.GetName(), secretPrefix); is {
		return name
	}
	return ""
}
