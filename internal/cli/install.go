// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/charts"
	"github.com/skerry-platform/skerry/internal/version"
)

// releaseName is the Helm release of the install chart.
const releaseName = "skerry"

// ChartRequest is one installation of the install chart.
type ChartRequest struct {
	RESTConfig         *rest.Config
	Chart              fs.FS
	Release, Namespace string
	Values             map[string]any
	Wait               bool
	Timeout            time.Duration
	// Progress is told what happens, one line each.
	Progress func(string)
}

// Charts installs, shows and removes charts: the Helm engine's.
type Charts interface {
	Install(context.Context, ChartRequest) error
	Uninstall(context.Context, ChartRequest) error
	// Render returns what Install would install as YAML, without a cluster when RESTConfig is nil.
	Render(ctx context.Context, r ChartRequest, crds bool) (string, error)
	// Values are those that the release was last given; nil when there is none.
	Values(ChartRequest) (map[string]any, error)
}

// installOptions is one installation of the platform.
type installOptions struct {
	*common
	values  []string
	set     []string
	wait    bool
	dryRun  string
	crds    bool
	reset   bool
	timeout time.Duration
	// registry has the platform's images, serviceRegistry the catalog's, as REGISTRY[/PATH].
	registry, serviceRegistry string
	// local is set by `up`: images of this build, the local platform's figures.
	local bool
}

func (o *installOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVarP(&o.values, "values", "f", nil, "file with values of the chart")
	f.StringArrayVar(&o.set, "set", nil, "one value of the chart, as a.b=c")
	f.BoolVar(&o.reset, "reset-values", false, "forget the values that were given before (default: they stay)")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "of the wait")
	o.wait = true
}

func (c *common) installCommand() *cobra.Command {
	o := &installOptions{common: c}
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the platform in a cluster, or bring it up to this version",
		Long: `Install the platform in a cluster, or bring it up to this version.

Values that were given before stay, those of --values and --set win over them, and the images are always
of this version. --dry-run prints the objects instead: "client" without asking a cluster, as for a
first installation; "server" with the values that were given before and what the cluster has. Neither
shows what is in Secrets.`,
		Example: `  skerry images push registry.example.com/skerry
  skerry install --registry registry.example.com/skerry
  skerry install --context production -f values.yaml
  skerry install --dry-run --include-crds
  skerry install --dry-run=server --set pool.replicas=3 | skerry kubectl diff -f -`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.Run(cmd.Context()) },
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.registry, "registry", "", "where skerry images push brought the platform's images, as REGISTRY[/PATH]")
	cmd.Flags().StringVar(&o.serviceRegistry, "service-registry", "", "where it brought PostgreSQL and Redis with --services, as REGISTRY[/PATH] (default docker.io)")
	cmd.Flags().BoolVar(&o.wait, "wait", true, "wait until the platform is at work")
	dryRunFlag(cmd, &o.dryRun, "print the objects that would be installed, and change nothing")
	cmd.Flags().BoolVar(&o.crds, "include-crds", false, "with --dry-run, print the definitions of the platform's kinds too")
	return cmd
}

func (c *common) uninstallCommand() *cobra.Command {
	o := &installOptions{common: c}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove the platform from a cluster; delete the applications first",
		Long: `Remove the platform from a cluster, with its kinds and its data. It is refused while there are virtual clusters,
whose removal needs the platform.`,
		Example: "  skerry uninstall --context production",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.Uninstall(cmd.Context()) },
	}
	cmd.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "of the wait")
	return cmd
}

// Run installs the chart and waits until every part is at work.
func (o *installOptions) Run(ctx context.Context) error {
	if o.dryRun != "" {
		return o.Render(ctx)
	}
	request, err := o.bareRequest()
	if err != nil {
		return err
	}
	h, err := o.inCluster(ctx, &request)
	if err != nil {
		return err
	}
	p := o.progress(o.program.Out)
	begun := time.Now()
	p.wait("installing chart skerry " + version.Version)
	request.Progress = p.wait
	if err := o.program.Charts.Install(ctx, request); err != nil {
		p.close()
		return fmt.Errorf("installing chart skerry: %w", err)
	}
	p.done(line{key: "chart", text: "chart skerry " + version.Version, took: time.Since(begun)})
	if o.wait {
		err = awaitPlatform(ctx, h, p, o.timeout)
	}
	p.close()
	if err != nil {
		return err
	}
	say(o.program.Out, "Skerry %s is installed. Ask for an application: skerry create NAME --language go --database postgres --cache redis --wait", version.Version)
	return nil
}

// Render prints what Run would install.
func (o *installOptions) Render(ctx context.Context) error {
	request, err := o.bareRequest()
	if err != nil {
		return err
	}
	if o.dryRun == dryRunServer {
		_, err = o.inCluster(ctx, &request)
	} else {
		request.Values, err = o.chartValues(nil, o.local)
	}
	if err != nil {
		return err
	}
	text, err := o.program.Charts.Render(ctx, request, o.crds)
	if err != nil {
		return err
	}
	_, err = io.WriteString(o.program.Out, text)
	return err
}

// inCluster directs the request at the person's cluster, with the values that are to be there.
func (o *installOptions) inCluster(ctx context.Context, request *ChartRequest) (*host, error) {
	h, err := o.host()
	if err != nil {
		return nil, err
	}
	request.RESTConfig = h.config
	var earlier map[string]any
	if !o.reset {
		if earlier, err = o.program.Charts.Values(*request); err != nil {
			return nil, err
		}
	}
	if request.Values, err = o.chartValues(earlier, o.local || isLocal(h.config, stateRoot)); err != nil {
		return nil, err
	}
	return h, o.leaveArgo(ctx, h, request)
}

// bareRequest is one without a cluster and without values.
func (o *installOptions) bareRequest() (ChartRequest, error) {
	if o.program.Charts == nil {
		return ChartRequest{}, errors.New("this build of the CLI cannot install charts")
	}
	chart, err := charts.Skerry()
	if err != nil {
		return ChartRequest{}, fmt.Errorf("reading the install chart: %w", err)
	}
	return ChartRequest{Chart: chart, Release: releaseName, Namespace: v1alpha1.SystemNamespace, Timeout: o.timeout}, nil
}

// leaveArgo finds out whether a real Argo CD has installed its kinds here; then they are its own.
func (o *installOptions) leaveArgo(ctx context.Context, h *host, request *ChartRequest) error {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(customResourceDefinition())
	err := h.client.Get(ctx, client.ObjectKey{Name: "applications.argoproj.io"}, crd)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for Argo CD in the cluster at %s: %w", h.config.Host, err)
	}
	if crd.Labels["app.kubernetes.io/part-of"] == "argocd" {
		say(o.program.ErrOut, "Argo CD is installed here: its kinds are left to it.")
		request.Chart = without{FS: request.Chart, prefix: "argoproj.io_"}
		if request.Values == nil {
			request.Values = map[string]any{}
		}
		merge(request.Values, map[string]any{"gitops": map[string]any{"engine": "argocd"}})
	}
	return nil
}

// without is a file system that hides the files whose names start with prefix.
type without struct {
	fs.FS
	prefix string
}

// ReadDir implements fs.ReadDirFS, which fs.WalkDir and fs.ReadDir prefer.
func (f without) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), f.prefix) }), err
}

// Uninstall refuses while there are applications, whose deletion needs the platform.
func (o *installOptions) Uninstall(ctx context.Context) error {
	request, err := o.bareRequest()
	if err != nil {
		return err
	}
	h, err := o.host()
	if err != nil {
		return err
	}
	request.RESTConfig = h.config
	var clusters v1alpha1.VirtualClusterList
	// Whether there are any has to be known: what is removed does not come back.
	if err := h.client.List(ctx, &clusters); err != nil && !meta.IsNoMatchError(err) && !isMissingKind(err) {
		return fmt.Errorf("looking for virtual clusters in the cluster at %s: %w", h.config.Host, err)
	}
	if len(clusters.Items) > 0 {
		names := map[string]bool{}
		for _, c := range clusters.Items {
			names[c.Name] = true
		}
		return fmt.Errorf("there are virtual clusters (%s); delete them first (`skerry delete NAME --wait`): without the platform they could not be removed",
			strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
	if err := o.leaveArgo(ctx, h, &request); err != nil {
		return err
	}
	p := o.progress(o.program.Out)
	request.Progress = p.wait
	err = o.program.Charts.Uninstall(ctx, request)
	p.close()
	if err != nil {
		return fmt.Errorf("uninstalling chart skerry: %w", err)
	}
	say(o.program.Out, "Skerry is removed, with its kinds.")
	return nil
}
