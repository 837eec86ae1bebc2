// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
)

// sync applies the revision and prunes. It first writes that it does so, with all objects
// that may come to exist: a crash at any point leaves them in the inventory.
func (p *pass) sync(ctx context.Context, v verdict) error {
	began := time.Now()
	old := apply.Difference(p.inventory(), p.gone)
	state := &argov1alpha1.OperationState{
		Operation: p.operation(v), Phase: argov1alpha1.OperationRunning, StartedAt: *p.stamp(), RetryCount: v.Retry,
		SyncResult: &argov1alpha1.SyncOperationResult{Revision: p.current.commit, Source: *p.app.Spec.Source},
	}
	p.app.Operation, p.app.Status.OperationState = nil, state
	p.reportResources()
	p.app.Status.Sync.ComparedTo = p.comparedTo()
	if err := p.save(ctx); err != nil {
		return err
	}
	state = p.app.Status.OperationState
	err := p.carryOut(ctx, v, old, state)
	p.finish(ctx, v, state, began, err)
	return nil
}

// operation is the one that was asked for, or the engine's own.
func (p *pass) operation(v verdict) argov1alpha1.Operation {
	if op := p.app.Operation; op != nil {
		op = op.DeepCopy()
		op.Sync.Revision = p.current.commit
		if policy := p.app.Spec.SyncPolicy; op.Retry.Limit == 0 && policy != nil && policy.Retry != nil {
			op.Retry = *policy.Retry
		}
		return *op
	}
	if last := p.app.Status.OperationState; last != nil && last.Phase != argov1alpha1.OperationSucceeded &&
		last.Operation.Sync != nil && last.Operation.Sync.Revision == p.current.commit {
		return last.Operation // the next attempt at the same
	}
	op := argov1alpha1.Operation{
		Sync:        &argov1alpha1.SyncOperation{Revision: p.current.commit, Prune: v.Prune},
		InitiatedBy: argov1alpha1.OperationInitiator{Automated: true},
	}
	if policy := p.app.Spec.SyncPolicy; policy != nil && policy.Retry != nil {
		op.Retry = *policy.Retry
	}
	return op
}

// carryOut applies what differs and deletes what is left over. Nothing is written when the
// destination refused any manifest of the revision.
func (p *pass) carryOut(ctx context.Context, v verdict, old apply.Inventory, state *argov1alpha1.OperationState) error {
	if len(p.comparison.refused) > 0 {
		return errors.New(p.refusals())
	}
	if state.Operation.Sync.DryRun {
		return nil
	}
	if p.option("CreateNamespace=true") {
		if err := p.createNamespace(ctx); err != nil {
			return err
		}
	}
	if err := p.write(ctx, state); err != nil {
		return err
	}
	if !v.Prune {
		return nil
	}
	return p.prune(ctx, old, state)
}

// write applies what differs and notes the outcome for each object. When it fails, what was written by then
// is found out by comparing again.
func (p *pass) write(ctx context.Context, state *argov1alpha1.OperationState) error {
	var targets []target
	var objects []*unstructured.Unstructured
	for _, t := range p.targets {
		if p.comparison.differs[t.entry] {
			targets, objects = append(targets, t), append(objects, t.Object)
		}
	}
	if len(objects) == 0 {
		return nil
	}
	_, err := p.dest.applier.Apply(ctx, objects...)
	written := func(apply.Entry) bool { return err == nil }
	if err != nil {
		if again, cerr := compare(ctx, p.dest, p.app.Name, targets, p.creates); cerr == nil {
			written = func(e apply.Entry) bool { return !again.differs[e] }
		}
	}
	done := 0
	for _, t := range targets {
		if !written(t.entry) {
			p.result(state, t.entry, argov1alpha1.ResultSyncFailed, "not written: status.operationState.message says why")
			continue
		}
		done++
		p.result(state, t.entry, argov1alpha1.ResultSynced, "serverside-applied")
		p.comparison.differs[t.entry] = false
		p.applied = append(p.applied, t.entry)
	}
	if err != nil && done > 0 {
		return fmt.Errorf("%d of %d objects were written, then: %w", done, len(targets), err)
	}
	return err
}

// createNamespace makes the destination's namespace. It is never deleted, as in Argo CD.
func (p *pass) createNamespace(ctx context.Context) error {
	name := p.app.Spec.Destination.Namespace
	if name == "" {
		return nil
	}
	ns := &unstructured.Unstructured{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := p.dest.client.Get(ctx, client.ObjectKey{Name: name}, ns)
	if !apierrors.IsNotFound(err) {
		return err
	}
	ns.SetName(name)
	if err := p.dest.client.Create(ctx, ns, client.FieldOwner(fieldOwner)); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

// prune deletes what earlier revisions applied and this one does not have. What says
// Prune=false, and what another Application has taken over, stays.
func (p *pass) prune(ctx context.Context, old apply.Inventory, state *argov1alpha1.OperationState) error {
	candidates := apply.Difference(old, p.wanted())
	auto := automation(p.app.Spec.SyncPolicy)
	if len(p.targets) == 0 && len(candidates) > 0 && state.Operation.InitiatedBy.Automated && (auto == nil || !auto.AllowEmpty) {
		return errors.New("the revision holds no object at all, so nothing is pruned; set spec.syncPolicy.automated.allowEmpty to true if it is meant so")
	}
	var doomed, released apply.Inventory
	for _, e := range candidates {
		verdict, err := p.mayPrune(ctx, e)
		if err != nil {
			return fmt.Errorf("pruning %s: %w", e, err)
		}
		switch verdict {
		case argov1alpha1.ResultPruned:
			doomed = append(doomed, e)
		case argov1alpha1.ResultPruneSkipped:
			p.result(state, e, verdict, "kept: its annotation says Prune=false")
		default:
			released = append(released, e)
		}
	}
	remaining, err := p.dest.applier.Prune(ctx, doomed, nil)
	for _, e := range doomed {
		p.result(state, e, argov1alpha1.ResultPruned, "")
	}
	p.gone = slices.Concat(p.gone, released, apply.Difference(doomed, remaining))
	return err
}

// mayPrune looks at the live object: Pruned to delete it, PruneSkipped to keep it in the
// inventory, nothing when it is gone or no longer ours.
func (p *pass) mayPrune(ctx context.Context, e apply.Entry) (argov1alpha1.ResultCode, error) {
	live := e.Object()
	err := p.dest.client.Get(ctx, client.ObjectKeyFromObject(live), live)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return "", nil
	case err != nil:
		return "", err
	}
	owner, _, _ := strings.Cut(live.GetAnnotations()[argov1alpha1.AnnotationTrackingID], ":")
	switch {
	case owner != "" && owner != p.app.Name:
		return "", nil
	case observe(live).noPrune:
		return argov1alpha1.ResultPruneSkipped, nil
	}
	return argov1alpha1.ResultPruned, nil
}

func (p *pass) result(state *argov1alpha1.OperationState, e apply.Entry, code argov1alpha1.ResultCode, message string) {
	gvk := schema.FromAPIVersionAndKind(e.APIVersion, e.Kind)
	state.SyncResult.Resources = append(state.SyncResult.Resources, argov1alpha1.ResourceResult{
		Group: gvk.Group, Version: gvk.Version, Kind: e.Kind, Namespace: e.Namespace, Name: e.Name, Status: code, Message: message,
	})
}

// finish writes down how the operation ended.
func (p *pass) finish(ctx context.Context, v verdict, state *argov1alpha1.OperationState, began time.Time, err error) {
	p.now = time.Now()
	state.FinishedAt = p.stamp()
	logger := log.FromContext(ctx).WithValues("revision", p.current.commit, "attempt", v.Retry+1, "repair", v.Heal)
	if err != nil {
		state.Phase = argov1alpha1.OperationFailed
		state.Message = fmt.Sprintf("revision %s was not delivered:\n%v", short(p.current.commit), err)
		p.condition(argov1alpha1.ConditionSyncError, state.Message)
		logger.Info("sync failed", "reason", err.Error())
	} else {
		state.Phase, state.Message = argov1alpha1.OperationSucceeded, "successfully synced"
		p.remember(state)
		logger.Info("synced", "applied", len(p.applied), "pruned", len(p.gone), "seconds", time.Since(began).Seconds())
	}
	if v.Heal {
		p.heals, p.healedAt = p.heals+1, p.now
	}
	p.metrics.observeSync(began, err)
}

// remember adds a deployment to the history, unless it repeats the newest one.
func (p *pass) remember(state *argov1alpha1.OperationState) {
	if state.Operation.Sync.DryRun {
		return
	}
	history := p.app.Status.History
	entry := argov1alpha1.RevisionHistory{
		Revision: p.current.commit, DeployStartedAt: &state.StartedAt, DeployedAt: *state.FinishedAt,
		Source: *p.app.Spec.Source, InitiatedBy: state.Operation.InitiatedBy,
	}
	if n := len(history); n > 0 {
		if history[n-1].Revision == entry.Revision && state.Operation.InitiatedBy.Automated {
			return
		}
		entry.ID = history[n-1].ID + 1
	}
	limit := defaultHistory
	if l := p.app.Spec.RevisionHistoryLimit; l != nil && *l >= 0 {
		limit = int(*l)
	}
	history = append(history, entry)
	p.app.Status.History = history[max(0, len(history)-limit):]
}
