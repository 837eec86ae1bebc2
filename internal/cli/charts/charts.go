// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package charts gives the CLI the platform's Helm engine.
package charts

import (
	"context"

	"github.com/skerry-platform/skerry/internal/cli"
	"github.com/skerry-platform/skerry/internal/helm"
)

// Helm implements cli.Charts.
type Helm struct{}

// Install installs or upgrades.
func (Helm) Install(ctx context.Context, r cli.ChartRequest) error {
	return helm.InstallChart(ctx, helm.InstallOptions(r))
}

// Uninstall removes the release, the chart's CRDs and the namespace.
func (Helm) Uninstall(ctx context.Context, r cli.ChartRequest) error {
	return helm.UninstallChart(ctx, helm.UninstallOptions{
		RESTConfig: r.RESTConfig, Release: r.Release, Namespace: r.Namespace, Timeout: r.Timeout, Progress: r.Progress,
		CRDsOf: r.Chart, DeleteNamespace: true,
	})
}

// Render prints what Install would install.
func (Helm) Render(ctx context.Context, r cli.ChartRequest, crds bool) (string, error) {
	return helm.RenderChart(ctx, helm.RenderOptions{
		RESTConfig: r.RESTConfig, Chart: r.Chart, Release: r.Release, Namespace: r.Namespace, Values: r.Values, IncludeCRDs: crds,
	})
}

// Values are those of the release that is there.
func (Helm) Values(r cli.ChartRequest) (map[string]any, error) {
	return helm.ReleaseValues(r.RESTConfig, r.Release, r.Namespace)
}
