// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
)

// calmAfter is how long a destination must be left alone until repairs are immediate again.
const calmAfter = 10 * time.Minute

// load brings the revision that this pass is about: the target revision's, or that of a
// requested operation. Files are fetched only when the commit is another than before.
func (p *pass) load(ctx context.Context, asked requests) error {
	source := *p.app.Spec.Source
	same := equality.Semantic.DeepEqual(source, p.source)
	if same && !asked.repository {
		p.current = p.revision
		return nil
	}
	repo, err := repositoryFor(ctx, p.secrets, p.opts.Namespace, source.RepoURL)
	if err != nil {
		return err
	}
	target := source.TargetRevision
	if op := p.app.Operation; op != nil && op.Sync != nil && op.Sync.Revision != "" {
		target = op.Sync.Revision
	}
	if target != source.TargetRevision && automation(p.app.Spec.SyncPolicy) != nil {
		return &problem{condition: argov1alpha1.ConditionSyncError, message: fmt.Sprintf(
			"operation.sync.revision: automated sync is on and would go back to %q; set spec.syncPolicy.automated.enabled to false first", source.TargetRevision)}
	}
	limited, cancel := context.WithTimeout(ctx, p.patience.limit())
	defer cancel()
	began := time.Now()
	rev, err := repo.resolve(limited, target)
	p.metrics.observeGit("resolve", began, err)
	if err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			err = cannotCompare(err, "repository not reachable: %s: no answer within %s", repo.url, p.patience.limit())
			p.patience.grow()
		}
		return err
	}
	if !same || asked.content || p.revision == nil || p.revision.commit != rev.commit.String() {
		fetched, err := p.fetch(ctx, repo, rev, source)
		if err != nil {
			return err
		}
		p.current = fetched
	} else {
		p.current = p.revision
	}
	if p.revision == nil || p.current.commit != p.revision.commit || !same {
		p.comparison, p.heals = nil, 0
	}
	p.revision, p.source, p.checkedAt = p.current, source, p.now
	if target != source.TargetRevision {
		p.checkedAt = time.Time{} // look at the target revision again in the next pass
	}
	return nil
}

// fetch reads the manifests of a revision.
func (p *pass) fetch(ctx context.Context, repo repository, rev revision, source argov1alpha1.ApplicationSource) (*loaded, error) {
	began := time.Now()
	commit, done, err := repo.fetch(ctx, rev, p.opts.CacheDir)
	p.metrics.observeGit("fetch", began, err)
	if err != nil {
		return nil, err
	}
	defer done()
	files, err := readFiles(commit, source)
	if err != nil {
		return nil, err
	}
	manifests, err := parseManifests(files)
	if err != nil {
		return nil, cannotCompare(err, "revision %s cannot be delivered:\n%v", short(commit.Hash.String()), err)
	}
	log.FromContext(ctx).Info("read a revision", "repository", repo.url, "revision", commit.Hash.String(), "objects", len(manifests))
	return &loaded{commit: commit.Hash.String(), manifests: manifests}, nil
}

// compare asks the destination, when something may have changed since the last time.
func (p *pass) compare(ctx context.Context) error {
	drift := p.drift.Swap(false)
	last := p.app.Status.OperationState
	failed := last != nil && last.Phase != argov1alpha1.OperationSucceeded
	if p.comparison != nil && !drift && !failed && p.app.Operation == nil && len(p.comparison.refused) == 0 &&
		equality.Semantic.DeepEqual(p.app.Status.Sync.ComparedTo, p.comparedTo()) {
		return nil
	}
	c, err := compare(ctx, p.dest, p.app.Name, p.targets, p.creates)
	if err != nil {
		p.drift.Store(true)
		p.comparison = nil
		return err
	}
	p.comparison, p.compared = c, true
	return nil
}

// creates reports whether a namespace that is missing will be there when objects are applied.
func (p *pass) creates(namespace string) bool {
	if namespace == p.app.Spec.Destination.Namespace && p.option("CreateNamespace=true") {
		return true
	}
	return slices.ContainsFunc(p.targets, func(t target) bool {
		return t.entry == apply.Entry{APIVersion: "v1", Kind: "Namespace", Name: namespace}
	})
}

// option looks for a sync option of the policy or of the requested operation.
func (p *pass) option(want string) bool {
	if policy := p.app.Spec.SyncPolicy; policy != nil && slices.Contains(policy.SyncOptions, want) {
		return true
	}
	op := p.app.Operation
	return op != nil && op.Sync != nil && slices.Contains(op.Sync.SyncOptions, want)
}

func (p *pass) comparedTo() argov1alpha1.ComparedTo {
	return argov1alpha1.ComparedTo{Source: *p.app.Spec.Source, Destination: p.app.Spec.Destination}
}

// situation gathers what the decision looks at.
func (p *pass) situation() situation {
	s := situation{
		Policy: p.app.Spec.SyncPolicy, Last: p.app.Status.OperationState, Now: p.now,
		Differs: p.differs(), Leftover: len(p.leftovers()) > 0, Heals: p.heals, HealedAt: p.healedAt,
	}
	if p.now.Sub(p.healedAt) > calmAfter {
		s.Heals = 0
	}
	if p.app.Operation != nil {
		s.Requested = p.app.Operation.Sync
	}
	if s.Last != nil && s.Last.SyncResult != nil {
		result := s.Last.SyncResult
		s.SameSource = result.Revision == p.current.commit && equality.Semantic.DeepEqual(result.Source, *p.app.Spec.Source) &&
			equality.Semantic.DeepEqual(p.app.Status.Sync.ComparedTo.Destination, p.app.Spec.Destination)
	}
	return s
}

// differs reports whether a target is missing, changed or refused.
func (p *pass) differs() bool {
	for _, differs := range p.comparison.differs {
		if differs {
			return true
		}
	}
	return len(p.comparison.refused) > 0
}

// wanted is the inventory of the revision.
func (p *pass) wanted() apply.Inventory {
	inv := make(apply.Inventory, 0, len(p.targets))
	for _, t := range p.targets {
		inv = append(inv, t.entry)
	}
	return apply.Union(inv)
}

// inventory is what was applied and not seen gone, from the status. What lies on another cluster
// than today's destination is not in it.
func (p *pass) inventory() apply.Inventory {
	was, is := p.app.Status.Sync.ComparedTo.Destination, p.app.Spec.Destination
	if was.Name != is.Name || was.Server != is.Server {
		return apply.Inventory{}
	}
	return inventoryOf(p.app)
}

// inventoryOf reads status.resources.
func inventoryOf(app *argov1alpha1.Application) apply.Inventory {
	inv := apply.Inventory{}
	for _, r := range app.Status.Resources {
		version := r.Version
		if r.Group != "" {
			version = r.Group + "/" + r.Version
		}
		inv = append(inv, apply.Entry{APIVersion: version, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name})
	}
	return inv
}

// leftovers are objects of earlier revisions that are to be deleted and were not asked to
// go yet.
func (p *pass) leftovers() apply.Inventory {
	var out apply.Inventory
	for _, e := range apply.Difference(p.inventory(), p.wanted()) {
		o, exists, _ := p.watches.lookup(e)
		if p.gone.Contains(e) || p.going.Contains(e) || exists && (o.terminating || o.noPrune) {
			continue
		}
		out = append(out, e)
	}
	return out
}

// findGone looks for objects of earlier revisions that went by now, or are going. The watch may not have heard yet of what was
// applied, and what leaves the inventory is never deleted: so the cluster itself is asked about
// what the watch does not show.
func (p *pass) findGone(ctx context.Context) {
	for _, e := range apply.Difference(p.inventory(), p.wanted()) {
		if _, exists, known := p.watches.lookup(e); exists || !known {
			continue
		}
		live := e.Object()
		err := p.dest.client.Get(ctx, client.ObjectKeyFromObject(live), live)
		switch {
		case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
			p.gone = append(p.gone, e)
		case err == nil && !live.GetDeletionTimestamp().IsZero():
			p.going = append(p.going, e)
		}
	}
}

// follow watches everything that is or should be on the destination.
func (p *pass) follow() {
	p.mu.Lock()
	base := p.base
	p.mu.Unlock()
	p.watches.follow(base, apply.Union(p.wanted(), p.inventory()))
}

// condition adds a condition, keeping the time of one that was there with the same message.
func (p *pass) condition(typ, message string) {
	c := argov1alpha1.ApplicationCondition{Type: typ, Message: message, LastTransitionTime: p.stamp()}
	for _, old := range p.before.Status.Conditions {
		if old.Type == typ && old.Message == message {
			c.LastTransitionTime = old.LastTransitionTime
		}
	}
	p.app.Status.Conditions = append(p.app.Status.Conditions, c)
}

// explainRefusal says what the destination would not take, where no sync says it.
func (p *pass) explainRefusal() {
	last := p.app.Status.OperationState
	switch {
	case len(p.comparison.refused) > 0:
		p.condition(argov1alpha1.ConditionSyncError, fmt.Sprintf("revision %s was not delivered:\n%s", short(p.current.commit), p.refusals()))
	case last != nil && last.Phase != argov1alpha1.OperationSucceeded && p.situation().SameSource && p.differs():
		p.condition(argov1alpha1.ConditionSyncError, last.Message)
	}
}

// refusals lists the refused manifests, the first of them in full.
func (p *pass) refusals() string { return joinErrors(p.comparison.refused).Error() }

func short(commit string) string { return commit[:min(len(commit), 8)] }
