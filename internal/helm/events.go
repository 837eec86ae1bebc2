// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// eventReasons are the reasons of the events about actions.
var eventReasons = map[verb]struct{ done, failed string }{
	doInstall:   {"Installed", "InstallFailed"},
	doUpgrade:   {"Upgraded", "UpgradeFailed"},
	doRollback:  {"RolledBack", "RollbackFailed"},
	doRepair:    {"Repaired", "RepairFailed"},
	doUnlock:    {"Recovered", "RecoveryFailed"},
	doUninstall: {"Uninstalled", "UninstallFailed"},
}

// perform runs one action, measured and told.
func (r *Reconciler) perform(ctx context.Context, rel *helmv1beta1.Release, j *job, do performer, d decision) error {
	began := time.Now()
	d.Why = j.secrets.hide(d.Why)
	err := do.perform(ctx)
	if err != nil {
		err = j.hushed(err)
	}
	r.metrics.observe(d.Do, began, err)
	log.FromContext(ctx).Info("acted on release", "action", d.Do, "why", d.Why, "took", time.Since(began).String(), "failed", err != nil)
	switch {
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		r.recorder.Eventf(rel, nil, corev1.EventTypeWarning, eventReasons[d.Do].failed, string(d.Do), "%s: %v", clip(d.Why, 400), clip(err.Error(), 500))
		return err
	}
	r.recorder.Eventf(rel, nil, corev1.EventTypeNormal, eventReasons[d.Do].done, string(d.Do), "chart %s: %s", j.chartName(), clip(d.Why, 800))
	return nil
}

// announce tells of changed conditions as events.
func (r *Reconciler) announce(before, rel *helmv1beta1.Release) {
	for _, typ := range []string{platformv1alpha1.ConditionSynced, platformv1alpha1.ConditionReady} {
		was, is := status.Get(before.Status.Conditions, typ), status.Get(rel.Status.Conditions, typ)
		if is == nil || (was != nil && was.Status == is.Status && was.Reason == is.Reason) {
			continue
		}
		kind := corev1.EventTypeNormal
		if is.Reason == platformv1alpha1.ReasonReconcileError || is.Reason == platformv1alpha1.ReasonUnavailable {
			kind = corev1.EventTypeWarning
		}
		r.recorder.Eventf(rel, nil, kind, is.Reason, typ, "%s is %s: %s", typ, is.Status, clip(is.Message, 800))
	}
}
