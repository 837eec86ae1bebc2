// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"strconv"

	"helm.sh/helm/v4/pkg/action"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
)

// labelInputs, on a record in Helm's storage, is the inputsDigest that it was made
// from. It is kept there and not in the status, so that it lives and dies with
// the revision that it describes.
const labelInputs = "platform.skerry.dev/inputs"

// labelGeneration, beside it, is the generation of the Release then.
const labelGeneration = "platform.skerry.dev/generation"

// observe reads Helm's records, then the workloads of the last revision.
func observe(ctx context.Context, t *tenant, cfg *action.Configuration, name string, w wanted) (observation, error) {
	releases, err := history(cfg, name)
	if err != nil {
		return observation{}, err
	}
	o := arrange(releases, w)
	if o.Last == nil || o.Last.State == stateUninstalled {
		return o, nil
	}
	if o.Workloads, err = t.readiness(ctx, o.Last.Manifest, name); err != nil {
		return observation{}, fmt.Errorf("reading the workloads of release %s: %w", name, err)
	}
	return o, nil
}

// arrange sorts out the records (oldest first); pure.
func arrange(releases []*releasev1.Release, w wanted) observation {
	var o observation
	if len(releases) == 0 {
		return o
	}
	o.Last = toRevision(releases[len(releases)-1])
	for _, rel := range releases[:len(releases)-1] {
		made := rel.Labels[labelInputs]
		switch rel.Info.Status.String() {
		case stateDeployed:
			o.Deployed = made
			fallthrough
		case stateSuperseded:
			if made != w.Inputs {
				o.Good = rel.Version
			}
		}
	}
	generation := strconv.FormatInt(w.Generation, 10)
	for _, rel := range releases {
		if rel.Info.Status.String() == stateFailed && rel.Labels[labelInputs] == w.Inputs && rel.Labels[labelGeneration] == generation {
			o.Failed++
			o.FailedMessage = rel.Info.Description
		}
	}
	return o
}

// toRevision takes what is used of a record.
func toRevision(rel *releasev1.Release) *revision {
	r := &revision{
		Number:      rel.Version,
		State:       rel.Info.Status.String(),
		Description: rel.Info.Description,
		Inputs:      rel.Labels[labelInputs],
		At:          rel.Info.LastDeployed,
		Manifest:    rel.Manifest,
	}
	if rel.Chart != nil && rel.Chart.Metadata != nil {
		r.ChartVersion = rel.Chart.Metadata.Version
	}
	return r
}
