// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

// prepare finds out what is wanted: chart, values, and the digest of both. unfetched is why the chart
// cannot be fetched at the moment although it is the one that was found last: what is installed can
// then be judged all the same.
func (r *Reconciler) prepare(ctx context.Context, rel *helmv1beta1.Release, t *tenant, j *job) (unfetched, err error) {
	if err := checkFields(rel, t); err != nil {
		return nil, err
	}
	src, err := locate(j.spec.Chart, r.options.Mirrors, r.options.AllowedRepositories)
	if err != nil {
		return nil, err
	}
	cred, err := t.credentials(ctx, j.spec)
	if err != nil {
		return nil, err
	}
	digest, unfetched, err := r.fetch(ctx, src, cred, j, rel.Status.AtProvider.Digest)
	if err != nil {
		return nil, err
	}
	j.values, err = mergeValues(j.spec.ValuesSpec, func(from helmv1beta1.ValueFromSource) (string, bool, error) {
		data, found, err := t.read(ctx, from)
		if from.SecretKeyRef != nil {
			j.secrets.read(data)
		}
		return data, found, err
	})
	if err != nil {
		return nil, err
	}
	j.want.Inputs, err = inputsDigest(digest, j.values)
	return unfetched, err
}

// fetch brings the chart into the job and returns its digest. When the source does not answer, and may
// mean what is installed, that is the digest of the chart that was found last, with the reason.
func (r *Reconciler) fetch(ctx context.Context, src chartSource, cred credentials, j *job, found string) (digest string, unfetched, err error) {
	var installed string
	if src.Version == "" {
		if last, err := j.newest(); err == nil {
			installed = last.ChartVersion
		}
	}
	j.chart, err = r.charts.Fetch(ctx, src, cred, installed)
	switch {
	case err == nil:
		return j.chart.Digest, nil, nil
	case isRefusal(err) || found == "":
		return "", nil, err
	}
	last, lerr := j.newest()
	if lerr != nil || !mayBe(src, last.ChartVersion) {
		return "", nil, errors.Join(err, lerr)
	}
	return found, err, nil
}
