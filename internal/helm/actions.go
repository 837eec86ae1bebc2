// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

// defaultWaitTimeout is provider-helm's.
const defaultWaitTimeout = 5 * time.Minute

// performer is one action on a release. None waits for workloads; hooks are waited for,
// at most WaitTimeout and not longer than the context lives. The context ends nothing else: an
// action whose calls were cut off in the middle would record a failure that is none.
type performer interface {
	perform(ctx context.Context) error
}

// job is what all actions need.
type job struct {
	cfg       *action.Configuration
	name      string
	namespace string
	client    client.Client // as the tenant
	spec      helmv1beta1.ReleaseParameters
	want      wanted
	chart     *chartPackage // nil when it cannot be fetched, and is what is installed
	values    map[string]any
	secrets   *secrets // among the values
}

// performerFor makes the action of a decision.
func (j *job) performerFor(d decision, o observation) performer {
	switch d.Do {
	case doInstall:
		return &install{job: j, replace: o.Last != nil}
	case doUpgrade:
		return &upgrade{job: j}
	case doRollback:
		return &rollback{job: j, to: d.To, failure: d.Failure}
	case doRepair:
		return &repair{job: j, drift: o.Drift}
	case doUnlock:
		return &unlock{job: j}
	case doUninstall:
		return &uninstall{job: j}
	}
	return nil
}

// labels of a new record in Helm's storage.
func (j *job) labels() map[string]string {
	return map[string]string{
		labelInputs:     j.want.Inputs,
		labelGeneration: strconv.FormatInt(j.want.Generation, 10),
	}
}

// install makes the first revision.
type install struct {
	*job
	replace bool // an uninstalled release has the name
}

func (i *install) perform(ctx context.Context) error {
	chart, err := i.chart.Load()
	if err != nil {
		return err
	}
	a := action.NewInstall(i.cfg)
	a.ReleaseName, a.Namespace = i.name, i.namespace
	a.Labels, a.Replace = i.labels(), i.replace
	a.SkipCRDs, a.TakeOwnership = i.spec.SkipCRDs, i.spec.TakeOwnership
	// SSA conflicts can only be with another owner's objects, which TakeOwnership allows.
	a.ForceConflicts = i.spec.SSAForceConflicts
	a.Timeout, a.WaitStrategy = i.want.WaitTimeout, kube.HookOnlyStrategy
	a.WaitOptions = []kube.WaitOption{kube.WithWaitContext(ctx)}
	// The API server validates (fieldValidation=Strict); doing it here too would
	// download its whole OpenAPI document for each release.
	a.DisableOpenAPIValidation = true
	_, err = a.RunWithContext(context.WithoutCancel(ctx), chart, i.values)
	return err
}

// upgrade makes the next revision, also over one that failed.
type upgrade struct{ *job }

func (u *upgrade) perform(ctx context.Context) error {
	chart, err := u.chart.Load()
	if err != nil {
		return err
	}
	a := action.NewUpgrade(u.cfg)
	a.Namespace, a.Labels = u.namespace, u.labels()
	a.ResetValues = true
	a.MaxHistory = u.want.history(u.spec.MaxHistory)
	a.SkipCRDs, a.TakeOwnership = u.spec.SkipCRDs, u.spec.TakeOwnership
	// These are the release's own objects: a field that somebody changed by hand must not stop the
	// upgrade, nor the rollback after it.
	a.ForceConflicts = true
	a.Timeout, a.WaitStrategy = u.want.WaitTimeout, kube.HookOnlyStrategy
	a.WaitOptions = []kube.WaitOption{kube.WithWaitContext(ctx)}
	a.DisableOpenAPIValidation = true
	_, err = a.RunWithContext(context.WithoutCancel(ctx), u.name, chart, u.values)
	return err
}

// rollback makes a revision equal to an earlier one.
type rollback struct {
	*job
	to      int
	failure string
}

func (r *rollback) perform(ctx context.Context) error {
	last, err := r.last()
	if err != nil {
		return err
	}
	if r.failure != "" {
		// Helm counts a revision as deployed that was only not ready in time.
		last.SetStatus(common.StatusFailed, r.failure)
		if err := r.cfg.Releases.Update(last); err != nil {
			return fmt.Errorf("recording that revision %d failed: %w", last.Version, err)
		}
	}
	a := action.NewRollback(r.cfg)
	a.Version = r.to
	a.MaxHistory = r.want.history(r.spec.MaxHistory)
	a.ForceConflicts = true // as for an upgrade
	a.Timeout, a.WaitStrategy = r.want.WaitTimeout, kube.HookOnlyStrategy
	a.WaitOptions = []kube.WaitOption{kube.WithWaitContext(ctx)}
	a.Description = clip(fmt.Sprintf("Rollback to %d: %s", r.to, last.Info.Description), action.MaxDescriptionLength)
	if err := a.Run(r.name); err != nil {
		// Helm then calls the revision that was left superseded, and its failure
		// would not be counted.
		if last.Info.Status != common.StatusFailed {
			last.Info.Status = common.StatusFailed
		}
		if uerr := r.cfg.Releases.Update(last); uerr != nil {
			return fmt.Errorf("rolling back to revision %d: %w (and recording that revision %d failed: %v)", r.to, err, last.Version, uerr)
		}
		return fmt.Errorf("rolling back to revision %d: %w", r.to, err)
	}
	return nil
}

// unlock ends a pending revision as failed, so that Helm accepts the next action.
type unlock struct{ *job }

func (u *unlock) perform(context.Context) error { return u.interrupted() }

// interrupted ends the newest revision as one that was cut off. It loses the labels of what it was made
// from: an attempt that was cut off is nobody's, so it is neither counted nor a reason to go back
// to an older revision.
func (j *job) interrupted() error {
	last, err := j.last()
	if err != nil {
		return err
	}
	delete(last.Labels, labelGeneration)
	delete(last.Labels, labelInputs)
	last.SetStatus(common.StatusFailed, fmt.Sprintf("Release %q was interrupted (%s)", j.name, last.Info.Status))
	if err := j.cfg.Releases.Update(last); err != nil {
		return fmt.Errorf("ending the interrupted revision %d: %w", last.Version, err)
	}
	return nil
}

// hushed is err without secrets, also in the description that Helm recorded for it.
func (j *job) hushed(err error) error {
	told := j.secrets.hideIn(err)
	if told == err {
		return err
	}
	last, lerr := j.last()
	if lerr != nil || last.Info.Description == j.secrets.hide(last.Info.Description) {
		return errors.Join(told, lerr)
	}
	last.Info.Description = j.secrets.hide(last.Info.Description)
	if err := j.cfg.Releases.Update(last); err != nil {
		return fmt.Errorf("%w (and taking a secret out of the description of revision %d: %v)", told, last.Version, err)
	}
	return told
}

// uninstall removes the objects and keeps the record, which is purged once they are
// really gone.
type uninstall struct{ *job }

func (u *uninstall) perform(ctx context.Context) error {
	a := action.NewUninstall(u.cfg)
	a.KeepHistory, a.IgnoreNotFound = true, true
	a.Timeout, a.WaitStrategy = u.want.WaitTimeout, kube.HookOnlyStrategy
	a.WaitOptions = []kube.WaitOption{kube.WithWaitContext(ctx)}
	_, err := a.Run(u.name)
	return because(err, u.cfg)
}

// purge forgets an uninstalled release.
func (j *job) purge() error {
	releases, err := history(j.cfg, j.name)
	if err != nil {
		return err
	}
	for _, rel := range releases {
		if _, err := j.cfg.Releases.Delete(rel.Name, rel.Version); err != nil {
			return fmt.Errorf("deleting Helm's record of revision %d: %w", rel.Version, err)
		}
	}
	return nil
}

// newest is the newest revision; an empty one when there is none.
func (j *job) newest() (revision, error) {
	releases, err := history(j.cfg, j.name)
	if err != nil || len(releases) == 0 {
		return revision{}, err
	}
	return *toRevision(releases[len(releases)-1]), nil
}

// chartName is for messages.
func (j *job) chartName() string {
	if j.chart == nil {
		return j.spec.Chart.Name
	}
	return j.chart.Name + " " + j.chart.Version
}

// last is the newest record.
func (j *job) last() (*releasev1.Release, error) {
	releases, err := history(j.cfg, j.name)
	if err != nil {
		return nil, err
	}
	if len(releases) == 0 {
		return nil, fmt.Errorf("release %s has no revision", j.name)
	}
	return releases[len(releases)-1], nil
}

// clip keeps at most n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-3]) + "..."
}
