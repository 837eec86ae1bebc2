// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
)

// defaultHistory is how many deployments status.history keeps, as in Argo CD.
const defaultHistory = 10

// save writes what changed in the Application, and fails when somebody else wrote in the
// meantime. Argo CD's kinds have no status subresource, so this is the object itself.
func (p *pass) save(ctx context.Context) error {
	if equality.Semantic.DeepEqual(p.before, p.app) {
		return nil
	}
	patch := client.MergeFromWithOptions(p.before, client.MergeFromWithOptimisticLock{})
	if err := p.client.Patch(ctx, p.app, patch, client.FieldOwner(fieldOwner)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("writing the status of Application %s: %w", client.ObjectKeyFromObject(p.app), err))
	}
	p.before = p.app.DeepCopy()
	return nil
}

// stamp is the time of this pass, as the API writes it.
func (p *pass) stamp() *metav1.Time {
	t := metav1.NewTime(p.now).Rfc3339Copy()
	return &t
}

// fail turns an error into its condition. What runs is left as it is.
func (p *pass) fail(ctx context.Context, err error) {
	c := conditionOf(err)
	p.condition(c.Type, c.Message)
	p.metrics.failures.WithLabelValues(c.Type).Inc()
	if silent := silentOf(err); silent != "" {
		p.condition(silent, c.Message)
	}
	log.FromContext(ctx).Info("cannot deliver", "condition", c.Type, "reason", c.Message)
	p.app.Status.Sync.Status = argov1alpha1.SyncStatusUnknown
	if op := p.app.Operation; op != nil {
		p.app.Operation = nil
		p.app.Status.OperationState = &argov1alpha1.OperationState{
			Operation: *op, Phase: argov1alpha1.OperationError, Message: c.Message, StartedAt: *p.stamp(), FinishedAt: p.stamp(),
		}
	}
	p.failures++
	if p.watches != nil {
		p.follow()
	}
	p.reportResources()
	if len(p.app.Status.Resources) == 0 {
		p.app.Status.Health.Status = argov1alpha1.HealthUnknown
	}
}

// retryIn is when to try again after fail: soon, then later and later, up to the interval.
// What only an edit can mend is looked at when it was edited.
func (p *pass) retryIn() time.Duration {
	for _, c := range p.app.Status.Conditions {
		if c.Type == argov1alpha1.ConditionInvalidSpecError {
			return p.opts.Interval
		}
	}
	return min(time.Second<<min(p.failures-1, 20), p.opts.Interval)
}

// nextIn is when to look again when nothing happens until then. The interval is spread by
// a tenth, so that many Applications do not ask at the same moment.
func (p *pass) nextIn(v verdict) time.Duration {
	due := p.checkedAt.Add(p.opts.Interval).Sub(p.now)
	next := max(due, time.Second) + rand.N(p.opts.Interval/10+1)
	if due < 0 {
		next = time.Second
	}
	if v.Wait > 0 {
		next = min(next, v.Wait)
	}
	return next
}

// report writes what this pass found into the status.
func (p *pass) report() {
	s := &p.app.Status
	p.reportResources()
	s.Sync.Status = argov1alpha1.SyncStatusSynced
	for _, r := range s.Resources {
		if r.Status != argov1alpha1.SyncStatusSynced {
			s.Sync.Status = argov1alpha1.SyncStatusOutOfSync
		}
	}
	s.Sync.Revision, s.Sync.ComparedTo, s.SourceType = p.current.commit, p.comparedTo(), "Directory"
	if len(p.comparison.shared) > 0 {
		p.condition("SharedResourceWarning", some(p.comparison.shared, "; "))
	}
	if p.compared {
		s.ReconciledAt = p.stamp()
	}
}

// reportResources writes the inventory with the state of each object, and the health of all.
func (p *pass) reportResources() {
	before := map[apply.Entry]argov1alpha1.ResourceStatus{}
	inv := p.inventory()
	for i, e := range inventoryOf(p.app) {
		before[e] = p.app.Status.Resources[i]
	}
	wanted := p.wanted()
	if !p.targeted { // say again what was said
		wanted = inv
	}
	var resources []argov1alpha1.ResourceStatus
	for _, e := range apply.Difference(apply.Union(wanted, inv), p.gone) {
		resources = append(resources, p.resource(e, wanted.Contains(e), before[e]))
	}
	p.app.Status.Resources = resources
	worst := worstHealth(resources)
	have := &p.app.Status.Health
	if have.Status != worst.Status {
		have.LastTransitionTime = p.stamp()
	}
	have.Status, have.Message = worst.Status, worst.Message
}

// resource is the state of one object.
func (p *pass) resource(e apply.Entry, wanted bool, before argov1alpha1.ResourceStatus) argov1alpha1.ResourceStatus {
	gvk := schema.FromAPIVersionAndKind(e.APIVersion, e.Kind)
	r := argov1alpha1.ResourceStatus{
		Group: gvk.Group, Version: gvk.Version, Kind: e.Kind, Namespace: e.Namespace, Name: e.Name,
		Status: before.Status, RequiresPruning: !wanted || !p.targeted && before.RequiresPruning,
	}
	differs := false
	switch {
	case !p.targeted:
	case !wanted:
		r.Status = argov1alpha1.SyncStatusOutOfSync
	case p.comparison != nil:
		r.Status = argov1alpha1.SyncStatusSynced
		if differs = p.comparison.differs[e]; differs {
			r.Status = argov1alpha1.SyncStatusOutOfSync
		}
	}
	var seen observed
	var exists, known bool
	if p.watches != nil {
		seen, exists, known = p.watches.lookup(e)
	}
	h := health(argov1alpha1.HealthProgressing, "not seen yet")
	switch {
	case p.applied.Contains(e):
		h.Message = "just applied"
	case known && exists:
		h = seen.health
	case known && differs:
		h = health(argov1alpha1.HealthMissing, "it is not on the cluster")
	case before.Health != nil:
		h = *before.Health
	}
	h.LastTransitionTime = p.stamp()
	if before.Health != nil && before.Health.Status == h.Status {
		h.LastTransitionTime = before.Health.LastTransitionTime
	}
	r.Health = &h
	return r
}
