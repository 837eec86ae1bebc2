// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/charts"
	"github.com/skerry-platform/skerry/internal/image"
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

// Charts installs and removes charts: the Helm engine's.
type Charts interface {
	Install(context.Context, ChartRequest) error
	Uninstall(context.Context, ChartRequest) error
}

// installOptions is one installation of the platform.
type installOptions struct {
	*common
	values  []string
	set     []string
	wait    bool
	dryRun  bool
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
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "of the wait")
	o.wait = true
}

func (c *common) installCommand() *cobra.Command {
	o := &installOptions{common: c}
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the platform in a cluster, or bring it up to this version",
		Example: `  skerry images push registry.example.com/skerry
  skerry install --kubeconfig FILE --registry registry.example.com/skerry`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.Run(cmd.Context()) },
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.registry, "registry", "", "where skerry images push brought the platform's images, as REGISTRY[/PATH]")
	cmd.Flags().StringVar(&o.serviceRegistry, "service-registry", "", "where it brought PostgreSQL and Redis with --services, as REGISTRY[/PATH] (default docker.io)")
	cmd.Flags().BoolVar(&o.wait, "wait", true, "wait until the platform is at work")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the values that would be given to the chart, and change nothing")
	return cmd
}

func (c *common) uninstallCommand() *cobra.Command {
	o := &installOptions{common: c}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove the platform from a cluster; delete the applications first",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.Uninstall(cmd.Context()) },
	}
	cmd.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "of the wait")
	return cmd
}

// Run installs the chart and waits until every part is at work.
func (o *installOptions) Run(ctx context.Context) error {
	request, h, err := o.request()
	if err != nil {
		return err
	}
	if o.dryRun {
		text, err := yaml.Marshal(request.Values)
		if err != nil {
			return fmt.Errorf("writing the values: %w", err)
		}
		_, err = fmt.Fprintf(o.program.Out, "# chart skerry into namespace %s of %s, with these values over the chart's own:\n%s",
			request.Namespace, request.RESTConfig.Host, text)
		return err
	}
	if err := o.leaveArgo(ctx, h, &request); err != nil {
		return err
	}
	p := newProgress(o.program.Out, time.Now())
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

func (o *installOptions) request() (ChartRequest, *host, error) {
	if o.program.Charts == nil {
		return ChartRequest{}, nil, errors.New("this build of the CLI cannot install charts")
	}
	h, err := o.host()
	if err != nil {
		return ChartRequest{}, nil, err
	}
	chart, err := charts.Skerry()
	if err != nil {
		return ChartRequest{}, nil, fmt.Errorf("reading the install chart: %w", err)
	}
	values, err := o.chartValues()
	if err != nil {
		return ChartRequest{}, nil, err
	}
	return ChartRequest{
		RESTConfig: h.config, Chart: chart, Release: releaseName, Namespace: v1alpha1.SystemNamespace, Values: values, Timeout: o.timeout,
	}, h, nil
}

// chartValues are this version's, the local platform's, the files', and --set's, later ones first.
func (o *installOptions) chartValues() (map[string]any, error) {
	tag := map[string]any{"tag": version.Version}
	values := map[string]any{
		"image": maps.Clone(tag), "gitServer": map[string]any{"image": tag},
		"catalog": map[string]any{"demoImage": image.Demo()},
	}
	if o.local {
		build, err := o.build()
		if err != nil {
			return nil, err
		}
		values["local"], values["build"] = true, build
	}
	if o.registry != "" {
		merge(values, map[string]any{
			"image":     map[string]any{"repository": repository(image.Skerry(), o.registry)},
			"gitServer": map[string]any{"image": map[string]any{"repository": repository(image.Git(), o.registry)}},
			"catalog":   map[string]any{"demoImage": image.Rename(image.Demo(), o.registry)},
		})
	}
	if o.serviceRegistry != "" {
		merge(values, map[string]any{"catalog": map[string]any{"imageRegistry": o.serviceRegistry}})
	}
	for _, file := range o.values {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usage("-f: %w", err)
		}
		more := map[string]any{}
		if err := yaml.Unmarshal(text, &more); err != nil {
			return nil, usage("-f %s: %w", file, err)
		}
		merge(values, more)
	}
	for _, s := range o.set {
		path, text, found := strings.Cut(s, "=")
		if !found || path == "" {
			return nil, usage("--set %s: write it as a.b=c", s)
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return nil, usage("--set %s: %w", s, err)
		}
		keys := strings.Split(path, ".")
		for _, key := range slices.Backward(keys) {
			value = map[string]any{key: value}
		}
		merge(values, value.(map[string]any))
	}
	return values, nil
}

// repository is an image's place below a prefix, without its tag.
func repository(name, prefix string) string {
	renamed := image.Rename(name, prefix)
	return renamed[:strings.LastIndex(renamed, ":")]
}

// build identifies the programs that the local images were made of. The images keep their tag
// when the programs are built again, so it is this that brings new ones to work.
func (o *installOptions) build() (string, error) {
	sum := sha256.New()
	for _, name := range []string{"skerry-operator", "skerry-kube"} {
		path, err := o.program.sibling(name)
		if err != nil {
			return "", err
		}
		if err := addFile(sum, path); err != nil {
			return "", fmt.Errorf("reading what the platform's image is made of: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

func addFile(sum hash.Hash, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(sum, file)
	return err
}

// merge puts b over a, map by map.
func merge(a, b map[string]any) {
	for k, v := range b {
		inner, isMap := v.(map[string]any)
		below, wasMap := a[k].(map[string]any)
		if isMap && wasMap {
			merge(below, inner)
			continue
		}
		a[k] = v
	}
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
		say(o.program.Out, "Argo CD is installed here: its kinds are left to it.")
		request.Chart = without{FS: request.Chart, prefix: "argoproj.io_"}
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
	request, h, err := o.request()
	if err != nil {
		return err
	}
	var clusters v1alpha1.VirtualClusterList
	if err := h.client.List(ctx, &clusters); err == nil && len(clusters.Items) > 0 {
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
	p := newProgress(o.program.Out, time.Now())
	request.Progress = p.wait
	err = o.program.Charts.Uninstall(ctx, request)
	p.close()
	if err != nil {
		return fmt.Errorf("uninstalling chart skerry: %w", err)
	}
	say(o.program.Out, "Skerry is removed, with its kinds.")
	return nil
}
