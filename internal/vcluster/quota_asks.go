// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/quota"
)

const (
	// askLife is how long a refusal counts after it was last repeated. Kubernetes'
	// controllers try again at growing intervals, and tell of it more and more rarely.
	askLife = 5 * time.Minute
	// askFresh is how long it goes before those of others.
	askFresh = time.Minute
)

// refusal is one that an Event tells of.
type refusal struct {
	quota.Refusal
	object      corev1.ObjectReference
	event       types.UID
	since, last time.Time
}

// asks are the refusals in a host namespace that are still open, and when time alone will change them. Served is
// remembered: what was created may be deleted again, and then nobody asks for it.
func (r *quotaReconciler) asks(ctx context.Context, s quota.Share) (out []quota.Ask, lookAgain time.Duration, err error) {
	list := &corev1.EventList{}
	if err := r.store.List(ctx, list, client.InNamespace(s.Namespace)); err != nil {
		return nil, 0, fmt.Errorf("listing the Events in %s: %w", s.Namespace, err)
	}
	now := r.clock.Now()
	for _, told := range refusals(list.Items) {
		left := told.last.Add(askLife).Sub(now)
		if left <= 0 || r.isServed(told, s.Used) {
			continue
		}
		if exists, err := r.exists(ctx, s.Namespace, told.object); err != nil {
			return nil, 0, err
		} else if !exists {
			continue
		}
		fresh := told.last.Add(askFresh).Sub(now)
		out = append(out, quota.Ask{Requested: told.Requested, Since: told.since, Stale: fresh <= 0})
		if fresh > 0 {
			left = fresh
		}
		lookAgain = soonest(lookAgain, left)
	}
	return out, lookAgain, nil
}

// refusals are the newest of each object that was refused something. Repetitions with other
// words are other Events. Sorted by object.
func refusals(list []corev1.Event) []refusal {
	newest := map[string]refusal{}
	for i := range list {
		e := &list[i]
		parsed, ok := quota.ParseRefusal(e.Message)
		if !ok {
			continue
		}
		told := refusal{Refusal: parsed, object: e.InvolvedObject, event: e.UID, since: e.CreationTimestamp.Time, last: lastSeen(e)}
		key := refusedObject(e)
		if known, is := newest[key]; is {
			if known.last.After(told.last) {
				told, known = known, told
			}
			if known.since.Before(told.since) {
				told.since = known.since
			}
		}
		newest[key] = told
	}
	out := make([]refusal, 0, len(newest))
	for _, key := range slices.Sorted(maps.Keys(newest)) {
		out = append(out, newest[key])
	}
	return out
}

// isServed says whether what was refused is there by now, or was.
func (r *quotaReconciler) isServed(told refusal, used corev1.ResourceList) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if told.Served(used) {
		r.served[told.event] = told.last
	}
	return !r.served[told.event].IsZero() && !r.served[told.event].Before(told.last)
}

// forgetServed drops what is too old to matter.
func (r *quotaReconciler) forgetServed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.clock.Now().Add(-askLife)
	maps.DeleteFunc(r.served, func(_ types.UID, last time.Time) bool { return last.Before(old) })
}

// exists says whether the workload that was refused a Pod is still there. Who is refused
// directly tries again within askFresh, or not at all.
func (r *quotaReconciler) exists(ctx context.Context, namespace string, ref corev1.ObjectReference) (bool, error) {
	if ref.APIVersion == "" || ref.Name == "" || aboutQuota(ref) {
		return true, nil
	}
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind))
	err := r.store.direct.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, o)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err == nil:
		return ref.UID == "" || ref.UID == o.UID, nil
	case apierrors.IsForbidden(err), apimeta.IsNoMatchError(err): // a kind that is none of ours
		return true, nil
	}
	return false, fmt.Errorf("reading %s %s/%s: %w", ref.Kind, namespace, ref.Name, err)
}

// refusedObject tells apart who was refused.
func refusedObject(e *corev1.Event) string {
	if aboutQuota(e.InvolvedObject) {
		return "event/" + e.Name
	}
	return e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name
}

// aboutQuota is true of the Events of quota.ReportRefusals, of which there is one for each
// object that was refused.
func aboutQuota(ref corev1.ObjectReference) bool { return ref.Kind == "ResourceQuota" }

// lastSeen is when an event last happened, whichever API wrote it.
func lastSeen(e *corev1.Event) time.Time {
	last := e.CreationTimestamp.Time
	for _, t := range []time.Time{e.LastTimestamp.Time, e.EventTime.Time} {
		if t.After(last) {
			last = t
		}
	}
	if e.Series != nil && e.Series.LastObservedTime.After(last) {
		last = e.Series.LastObservedTime.Time
	}
	return last
}

// soonest of two delays, of which 0 means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
