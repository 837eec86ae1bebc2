// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
	"github.com/skerry-platform/skerry/internal/status"
)

const (
	// usageInterval is the shortest time between two writes of status.quota: everybody
	// who watches VirtualClusters hears of each.
	usageInterval = time.Second
)

// quotaReconciler divides spec.quota of one VirtualCluster among its host namespaces. It is the only
// writer of their ResourceQuotas, and one VirtualCluster is worked on by one worker: a
// share is raised by what was read a moment before.
type quotaReconciler struct {
	client client.Client
	store  store
	clock  clock.PassiveClock
	events events.EventRecorder

	mu     sync.Mutex
	wrote  map[string]time.Time    // status.quota, by name of the VirtualCluster
	served map[types.UID]time.Time // Events whose refusal was made good, and which time of it
}

// Reconcile implements reconcile.Reconciler.
func (r *quotaReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	vc := &v1alpha1.VirtualCluster{}
	if err := r.client.Get(ctx, req.NamespacedName, vc); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if vc.Annotations[v1alpha1.AnnotationPaused] == "true" {
		return ctrl.Result{}, nil
	}
	before := vc.DeepCopy()
	if vc.Spec.Quota == nil {
		vc.Status.Quota = nil
		apimeta.RemoveStatusCondition(&vc.Status.Conditions, v1alpha1.ConditionWithinQuota)
		return finish(ctx, ctrl.Result{}, nil, status.Patch(ctx, r.client, vc, before))
	}
	w, err := r.divide(ctx, vc)
	if err != nil {
		return finish(ctx, ctrl.Result{}, err, nil)
	}
	r.forgetServed()
	w.summarize(vc)
	result := ctrl.Result{RequeueAfter: w.lookAgain}
	if !equality.Semantic.DeepEqual(before.Status, vc.Status) {
		if wait := r.tooSoon(vc.Name); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
	}
	err = status.Patch(ctx, r.client, vc, before)
	if apierrors.IsConflict(err) {
		r.forget(vc.Name) // nothing was written
	}
	if err == nil && !status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionWithinQuota) {
		status.Announce(r.events, vc, before.Status.Conditions, vc.Status.Conditions, v1alpha1.ConditionWithinQuota)
	}
	return finish(ctx, result, nil, err)
}

// divide looks at the shares and writes those that are to change. The cache decides whether to
// look closer; what is written is decided on what the API server has.
func (r *quotaReconciler) divide(ctx context.Context, vc *v1alpha1.VirtualCluster) (*shares, error) {
	w, err := r.observe(ctx, r.store, vc)
	if err != nil || len(w.Hard) == 0 {
		return w, err
	}
	if w, err = r.observe(ctx, r.store.direct, vc); err != nil {
		return nil, err
	}
	for _, namespace := range slices.Sorted(maps.Keys(w.Hard)) {
		if err := r.write(ctx, vc, w, namespace); err != nil {
			return nil, err
		}
	}
	if len(w.Hard) > 0 {
		log.FromContext(ctx).V(1).Info("moved quota between namespaces", "namespaces", len(w.Hard))
	}
	return w, nil
}

// write creates or changes one ResourceQuota, not over somebody else's change.
func (r *quotaReconciler) write(ctx context.Context, vc *v1alpha1.VirtualCluster, w *shares, namespace string) error {
	made := resourceQuota(vc.Name, namespace, w.Hard[namespace])
	made.Labels[v1alpha1.LabelVirtualNamespace] = w.names[namespace]
	live, exists := w.quotas[namespace]
	if !exists {
		err := r.store.Create(ctx, made.DeepCopy(), fieldOwner)
		switch {
		case apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			return nil // the namespace went meanwhile
		case !apierrors.IsAlreadyExists(err):
			return wrap(err, "creating", made)
		}
		live = &corev1.ResourceQuota{} // it lost its labels
		if err := r.store.direct.Get(ctx, client.ObjectKeyFromObject(made), live); err != nil {
			return wrap(err, "reading", made)
		}
	}
	changed := live.DeepCopy()
	changed.Spec.Hard = made.Spec.Hard
	for key, value := range made.Labels {
		metav1.SetMetaDataLabel(&changed.ObjectMeta, key, value)
	}
	return wrap(client.IgnoreNotFound(r.store.Update(ctx, changed, fieldOwner)), "updating", changed)
}

// tooSoon is how long to wait with the next write of the status, and notes the write when that is 0.
func (r *quotaReconciler) tooSoon(virtualCluster string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if wait := r.wrote[virtualCluster].Add(usageInterval).Sub(now); wait > 0 {
		return wait
	}
	r.wrote[virtualCluster] = now
	return 0
}

func (r *quotaReconciler) forget(virtualCluster string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.wrote, virtualCluster)
}

// shares are what the host has, and what quota.Divide makes of it.
type shares struct {
	quota.Division
	total     corev1.ResourceList
	list      []quota.Share
	quotas    map[string]*corev1.ResourceQuota // by host namespace
	names     map[string]string                // host namespace -> name in the virtual cluster
	lookAgain time.Duration                    // when time alone changes the asks; 0: never
}

// observe reads everything from one reader: the cache, or the API server.
func (r *quotaReconciler) observe(ctx context.Context, from client.Reader, vc *v1alpha1.VirtualCluster) (*shares, error) {
	w := &shares{total: quota.Total(vc.Spec.Quota), quotas: map[string]*corev1.ResourceQuota{}, names: map[string]string{}}
	of := client.MatchingLabels(labels(vc.Name))
	namespaces, quotas := &corev1.NamespaceList{}, &corev1.ResourceQuotaList{}
	if err := errors.Join(from.List(ctx, namespaces, of), from.List(ctx, quotas, of)); err != nil {
		return nil, fmt.Errorf("listing the ResourceQuotas of virtual cluster %s: %w", vc.Name, err)
	}
	for i := range quotas.Items {
		if q := &quotas.Items[i]; q.Name == quota.Name {
			w.quotas[q.Namespace] = q
		}
	}
	for i := range namespaces.Items {
		ns := &namespaces.Items[i]
		name := ns.Labels[v1alpha1.LabelVirtualNamespace]
		if name == "" { // the home namespace
			continue
		}
		w.names[ns.Name] = name
		s := quota.Share{Namespace: ns.Name, Leaving: !ns.DeletionTimestamp.IsZero() || !vc.DeletionTimestamp.IsZero()}
		if q := w.quotas[ns.Name]; q != nil {
			s.Spec, s.Enforced, s.Used = q.Spec.Hard, q.Status.Hard, q.Status.Used
		}
		if s.Used == nil { // its ResourceQuota went before its Pods, or is new again
			s.Used = recorded(vc, name)
		}
		var lookAgain time.Duration
		var err error
		if s.Asks, lookAgain, err = r.asks(ctx, s); err != nil {
			return nil, err
		}
		w.lookAgain = soonest(w.lookAgain, lookAgain)
		w.list = append(w.list, s)
	}
	w.Division = quota.Divide(w.total, w.list)
	return w, nil
}

// recorded is what a namespace used when that was last written.
func recorded(vc *v1alpha1.VirtualCluster, name string) corev1.ResourceList {
	if vc.Status.Quota != nil {
		for _, n := range vc.Status.Quota.Namespaces {
			if n.Name == name {
				return n.Used
			}
		}
	}
	return nil
}

// summarize writes status.quota and WithinQuota.
func (w *shares) summarize(vc *v1alpha1.VirtualCluster) {
	used := make([]corev1.ResourceList, 0, len(w.list))
	out := &v1alpha1.QuotaStatus{Hard: w.total}
	for _, s := range w.list {
		n := v1alpha1.NamespaceQuota{Name: w.names[s.Namespace], Hard: s.Enforced, Used: quota.Sum(w.total, s.Used)}
		out.Namespaces = append(out.Namespaces, n)
		used = append(used, s.Used)
	}
	slices.SortFunc(out.Namespaces, func(a, b v1alpha1.NamespaceQuota) int { return strings.Compare(a.Name, b.Name) })
	out.Used = quota.Sum(w.total, used...)
	if !equality.Semantic.DeepEqual(vc.Status.Quota, out) {
		vc.Status.Quota = out
	}
	s, reason, message := metav1.ConditionTrue, v1alpha1.ReasonAvailable, ""
	if over := quota.Exceeded(w.total, nil, out.Used); len(over) > 0 {
		s, reason = metav1.ConditionFalse, reasonQuotaExceeded
		message = fmt.Sprintf("more is used than spec.quota allows since it was lowered (%v): nothing new is admitted until less is used", over)
	}
	for _, namespace := range slices.Sorted(maps.Keys(w.Unmet)) {
		s, reason = metav1.ConditionFalse, reasonQuotaExceeded
		message = quota.Explain(vc.Name, w.names[namespace], out, w.Unmet[namespace].Requested)
		break
	}
	status.Set(&vc.Status.Conditions, vc.Generation, v1alpha1.ConditionWithinQuota, s, reason, message)
}
