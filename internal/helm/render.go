// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/client-go/rest"
)

// RenderOptions say what RenderChart renders.
type RenderOptions struct {
	// RESTConfig of the cluster that templates may look things up in; nil renders without one.
	RESTConfig *rest.Config
	// Chart is rooted at the folder that holds Chart.yaml.
	Chart              fs.FS
	Release, Namespace string
	Values             map[string]any
	// IncludeCRDs puts the chart's CRDs before its objects.
	IncludeCRDs bool
}

// RenderChart returns what InstallChart would install, as YAML documents that each name the template they
// come from, and changes nothing. Hooks are among them. The content of Secrets is left out: what is there
// is not for a screen, and what is new is generated when it is installed.
func RenderChart(ctx context.Context, o RenderOptions) (string, error) {
	pkg, err := packageFromFS(o.Chart, "")
	if err != nil {
		return "", err
	}
	chart, err := pkg.Load()
	if err != nil {
		return "", err
	}
	a, err := renderAction(o)
	if err != nil {
		return "", err
	}
	a.ReleaseName, a.Namespace, a.Replace = o.Release, o.Namespace, true
	a.HideSecret, a.IncludeCRDs = true, o.IncludeCRDs
	a.WaitStrategy, a.DisableOpenAPIValidation = kube.HookOnlyStrategy, true
	made, err := a.RunWithContext(ctx, chart, o.Values)
	if err != nil {
		return "", fmt.Errorf("rendering chart %s %s: %w", pkg.Name, pkg.Version, err)
	}
	rel, ok := made.(*releasev1.Release)
	if !ok {
		return "", fmt.Errorf("rendering chart %s %s: Helm answers with a %T", pkg.Name, pkg.Version, made)
	}
	out := strings.TrimSpace(rel.Manifest) + "\n"
	for _, h := range rel.Hooks {
		out += fmt.Sprintf("---\n# Source: %s\n%s\n", h.Path, strings.TrimSpace(h.Manifest))
	}
	return out, nil
}

// renderAction is Helm's installation, as a dry run. With a cluster it knows whether this would be an upgrade.
func renderAction(o RenderOptions) (*action.Install, error) {
	if o.RESTConfig == nil {
		a := action.NewInstall(action.NewConfiguration(action.ConfigurationSetLogger(&errorLog{})))
		a.DryRunStrategy = action.DryRunClient
		return a, nil
	}
	cfg, err := configurationFor(o.RESTConfig, o.Namespace)
	if err != nil {
		return nil, err
	}
	releases, err := history(cfg, o.Release)
	if err != nil {
		return nil, err
	}
	a := action.NewInstall(cfg)
	// Not with SkipCRDs: IncludeCRDs says which are rendered, and a dry run installs none.
	a.DryRunStrategy, a.IsUpgrade = action.DryRunServer, len(releases) > 0
	return a, nil
}

// ReleaseValues are those that were given to a release when it was last installed or upgraded, without the
// chart's own defaults; nil when there is no such release.
func ReleaseValues(config *rest.Config, release, namespace string) (map[string]any, error) {
	cfg, err := configurationFor(config, namespace)
	if err != nil {
		return nil, err
	}
	releases, err := history(cfg, release)
	if err != nil || len(releases) == 0 {
		return nil, err
	}
	last := releases[len(releases)-1]
	if toRevision(last).State == stateUninstalled {
		return nil, nil
	}
	if last.Config == nil {
		return map[string]any{}, nil
	}
	return last.Config, nil
}

// configurationFor is Helm's for one use.
func configurationFor(config *rest.Config, namespace string) (*action.Configuration, error) {
	if config == nil {
		return nil, errors.New("preparing Helm: a cluster is needed")
	}
	c, err := newDirectClient(config)
	if err != nil {
		return nil, err
	}
	s, err := newSDK(config, c.RESTMapper())
	if err != nil {
		return nil, err
	}
	return s.configuration(config, namespace)
}
