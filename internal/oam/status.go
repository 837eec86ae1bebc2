// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/oam/render"
	"github.com/skerry-platform/skerry/internal/status"
)

// Reasons of conditions, beside Crossplane's.
const (
	reasonRefused  = "Refused"
	reasonWaiting  = platformv1alpha1.ReasonWaiting
	reasonFailed   = platformv1alpha1.ReasonReconcileError
	reasonDone     = platformv1alpha1.ReasonReconcileSuccess
	reasonDeleting = platformv1alpha1.ReasonDeleting
)

// report writes the outcome of a run into the Application's status.
func (run *run) report(cluster string) {
	app := run.app
	st := &app.Status
	wasRunning := st.Phase == oamv1.PhaseRunning || st.Phase == oamv1.PhaseUnhealthy
	isNew := st.LatestRevision == nil || run.result != nil && st.LatestRevision.Name != run.revision.Name
	st.ObservedGeneration = app.Generation
	if run.result != nil {
		rev := run.revision
		st.LatestRevision = &rev
		st.Services = run.services(cluster)
		st.AppliedResources = run.inventory.references()
	}
	run.reportSteps()
	unhealthy := run.unhealthy()
	run.reportHealth(unhealthy)
	switch {
	case run.refused != nil:
		st.Phase = oamv1.PhaseRendering
	case unhealthy == "" && run.applyError() == nil:
		st.Phase = oamv1.PhaseRunning
	case wasRunning && !isNew:
		st.Phase = oamv1.PhaseUnhealthy
	default:
		st.Phase = oamv1.PhaseRunningWorkflow
	}
}

func (run *run) set(typ string, s metav1.ConditionStatus, reason, message string) {
	status.Set(&run.app.Status.Conditions, run.app.Generation, typ, s, reason, message)
}

// reportSteps writes the conditions of the steps up to Applied, and Synced. A step that
// was not reached is Unknown.
func (run *run) reportSteps() {
	const notReached = "an earlier step failed"
	switch {
	case run.unparsed != nil:
		run.set(oamv1.ConditionParsed, metav1.ConditionFalse, reasonRefused, run.unparsed.Error())
		run.set(oamv1.ConditionRender, metav1.ConditionUnknown, reasonWaiting, notReached)
	case run.refused != nil:
		run.set(oamv1.ConditionParsed, metav1.ConditionTrue, reasonDone, "")
		run.set(oamv1.ConditionRender, metav1.ConditionFalse, reasonRefused, run.refused.Error())
	default:
		run.set(oamv1.ConditionParsed, metav1.ConditionTrue, reasonDone, "")
		run.set(oamv1.ConditionRender, metav1.ConditionTrue, reasonDone, "")
	}
	if run.refused != nil {
		kept := ""
		if run.result != nil {
			kept = "; " + run.revision.Name + " keeps running"
		}
		run.set(oamv1.ConditionRevision, metav1.ConditionUnknown, reasonWaiting, notReached)
		run.set(oamv1.ConditionApplied, metav1.ConditionUnknown, reasonWaiting, notReached+kept)
		run.set(oamv1.ConditionSynced, metav1.ConditionFalse, reasonFailed, run.refused.Error()+kept)
		return
	}
	name := run.revision.Name
	if run.pinned != "" {
		name += fmt.Sprintf(", pinned by the annotation %s: %s", oamv1.AnnotationPublishVersion, run.pinned)
	}
	run.set(oamv1.ConditionRevision, metav1.ConditionTrue, reasonDone, name)
	run.reportApplied()
}

func (run *run) reportApplied() {
	waiting := run.waiting()
	err := run.applyError()
	if err == nil {
		err = run.pruning
	}
	switch {
	case err != nil:
		run.set(oamv1.ConditionApplied, metav1.ConditionFalse, reasonFailed, oneLine(err))
		run.set(oamv1.ConditionSynced, metav1.ConditionFalse, reasonFailed, oneLine(err))
		return
	case waiting != "":
		run.set(oamv1.ConditionApplied, metav1.ConditionFalse, reasonWaiting, waiting)
	case len(run.leaving.going) > 0:
		run.set(oamv1.ConditionApplied, metav1.ConditionTrue, reasonDone, run.leaving.String())
	default:
		run.set(oamv1.ConditionApplied, metav1.ConditionTrue, reasonDone, "")
	}
	run.set(oamv1.ConditionSynced, metav1.ConditionTrue, reasonDone, "")
}

// reportHealth writes Ready: how the version that runs is doing.
func (run *run) reportHealth(unhealthy string) {
	switch {
	case run.result == nil:
		run.set(oamv1.ConditionReady, metav1.ConditionFalse, platformv1alpha1.ReasonCreating, run.refused.Error())
	case unhealthy == "":
		run.set(oamv1.ConditionReady, metav1.ConditionTrue, platformv1alpha1.ReasonAvailable, "")
	default:
		reason := platformv1alpha1.ReasonCreating
		if c := status.Get(run.app.Status.Conditions, oamv1.ConditionReady); c != nil && c.Reason != platformv1alpha1.ReasonCreating {
			reason = platformv1alpha1.ReasonUnavailable
		}
		run.set(oamv1.ConditionReady, metav1.ConditionFalse, reason, unhealthy)
	}
}

// unhealthy names the first component that is not healthy for a reason of its own, and
// the reason; empty when all are.
func (run *run) unhealthy() string {
	if run.result == nil {
		return "nothing is running"
	}
	for _, c := range run.result.Components { // in dependency order: causes first
		if d := run.components[c.Name]; !d.health.Healthy {
			return fmt.Sprintf("component %q: %s", c.Name, d.message())
		}
	}
	return ""
}

// waiting says which component waits for which.
func (run *run) waiting() string {
	var parts []string
	for _, c := range run.result.Components {
		if d := run.components[c.Name]; len(d.waiting) > 0 {
			parts = append(parts, fmt.Sprintf("component %q %s", c.Name, d.message()))
		}
	}
	return strings.Join(parts, "; ")
}

// message is what to tell about a component: what keeps it back, else what its first
// unhealthy part says.
func (d *dispatched) message() string {
	switch {
	case d.err != nil:
		return oneLine(d.err)
	case len(d.waiting) > 0:
		return "waits for " + strings.Join(d.waiting, ", ")
	case !d.health.Workload.Healthy:
		return d.health.Workload.Message
	}
	for _, t := range d.health.Traits {
		if !t.Healthy {
			return t.Message
		}
	}
	return d.health.Workload.Message
}

// services describes the components in the order of the spec.
func (run *run) services(cluster string) []oamv1.ApplicationComponentStatus {
	byName := map[string]oamv1.ApplicationComponentStatus{}
	var inOrder []string
	for _, c := range run.result.Components {
		byName[c.Name] = service(c, run.components[c.Name], cluster)
		inOrder = append(inOrder, c.Name)
	}
	out := make([]oamv1.ApplicationComponentStatus, 0, len(inOrder))
	for _, c := range run.app.Spec.Components {
		if s, ok := byName[c.Name]; ok {
			out = append(out, s)
			delete(byName, c.Name)
		}
	}
	for _, name := range inOrder { // of a version on record that has more
		if s, ok := byName[name]; ok {
			out = append(out, s)
		}
	}
	return out
}

func service(c *render.Component, d *dispatched, cluster string) oamv1.ApplicationComponentStatus {
	s := oamv1.ApplicationComponentStatus{
		Name: c.Name, Namespace: c.Namespace, Cluster: cluster, WorkloadDefinition: c.Kind,
		Healthy: d.health.Healthy, WorkloadHealthy: d.health.Workload.Healthy,
		Message: brief(d.message()), Details: briefly(d.health.Workload.Details),
	}
	for i, t := range c.Traits {
		ts := oamv1.ApplicationTraitStatus{Type: t.Type}
		if i < len(d.health.Traits) {
			h := d.health.Traits[i]
			ts.Healthy, ts.Message, ts.Details = h.Healthy, brief(h.Message), briefly(h.Details)
		}
		s.Traits = append(s.Traits, ts)
	}
	return s
}

// What definitions and API servers say about a component has no limit; a status has. A
// component takes at most 4 KiB of it, whatever its definitions say.
const (
	mostMessage = 1024
	mostDetails = 16
	mostDetail  = 128
)

// brief is the beginning of a long text.
func brief(text string) string {
	if len(text) <= mostMessage {
		return text
	}
	return strings.ToValidUTF8(text[:mostMessage-3], "") + "..."
}

// briefly keeps the first details, by name, and the beginning of each.
func briefly(details map[string]string) map[string]string {
	if details == nil {
		return nil
	}
	out := map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(details)) {
		if i == mostDetails {
			break
		}
		value := details[name]
		out[strings.ToValidUTF8(name[:min(len(name), mostDetail)], "")] = strings.ToValidUTF8(value[:min(len(value), mostDetail)], "")
	}
	return out
}

// setFailed says why a step failed that should not have; it is tried again.
func setFailed(app *oamv1.Application, err error) {
	status.Set(&app.Status.Conditions, app.Generation, oamv1.ConditionSynced, metav1.ConditionFalse, reasonFailed, oneLine(err))
}

// setUnrecorded says that a version could not be recorded, so it is not applied either.
func setUnrecorded(app *oamv1.Application, err error) {
	message := oneLine(err)
	if apierrors.IsRequestEntityTooLargeError(err) || strings.Contains(message, "request is too large") {
		message += "; the Application and its definitions are too large for one object: split the Application"
	}
	status.Set(&app.Status.Conditions, app.Generation, oamv1.ConditionRevision, metav1.ConditionFalse, reasonFailed, message)
	status.Set(&app.Status.Conditions, app.Generation, oamv1.ConditionSynced, metav1.ConditionFalse, reasonFailed, message)
}

// setPaused says that nothing is being done.
func setPaused(app *oamv1.Application) {
	status.Set(&app.Status.Conditions, app.Generation, oamv1.ConditionSynced, metav1.ConditionFalse,
		platformv1alpha1.ReasonReconcilePaused, "reconciliation is paused by an annotation or label")
}

// setDeleting says what a deletion waits for.
func setDeleting(app *oamv1.Application, out leaving, err error) {
	app.Status.Phase = oamv1.PhaseDeleting
	message := out.String()
	if len(out.going) == 0 {
		message = "cleaning up"
	}
	status.Set(&app.Status.Conditions, app.Generation, oamv1.ConditionReady, metav1.ConditionFalse, reasonDeleting, message)
	if err != nil {
		status.Set(&app.Status.Conditions, app.Generation, oamv1.ConditionSynced, metav1.ConditionFalse, reasonFailed, oneLine(err))
		return
	}
	status.Set(&app.Status.Conditions, app.Generation, oamv1.ConditionSynced, metav1.ConditionTrue, reasonDone, message)
}

// oneLine is an error's text for a condition.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}
