// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/skerry-platform/skerry/internal/cli"
	"github.com/skerry-platform/skerry/internal/helm"
)

// charts installs and removes charts with the platform's Helm engine.
type charts struct{}

func (charts) Install(ctx context.Context, r cli.ChartRequest) error {
	return helm.InstallChart(ctx, helm.InstallOptions(r))
}

func (charts) Uninstall(ctx context.Context, r cli.ChartRequest) error {
	return helm.UninstallChart(ctx, helm.UninstallOptions{
		RESTConfig: r.RESTConfig, Release: r.Release, Namespace: r.Namespace, Timeout: r.Timeout, Progress: r.Progress,
		CRDsOf: r.Chart, DeleteNamespace: true,
	})
}
