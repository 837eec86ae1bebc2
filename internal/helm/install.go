// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/skerry-platform/skerry/internal/apply"
)

// installOwner is the field manager of the CRDs that InstallChart applies.
const installOwner = "skerry-install"

// InstallOptions say what InstallChart installs.
type InstallOptions struct {
	// RESTConfig of the cluster, with an administrator's rights.
	RESTConfig *rest.Config
	// Chart is rooted at the folder that holds Chart.yaml.
	Chart fs.FS
	// Release is Helm's name for it, in Namespace, which is created when missing.
	Release, Namespace string
	Values             map[string]any
	// Wait until the workloads are ready, at most Timeout (0 means 5 minutes), which also
	// bounds the chart's hooks.
	Wait    bool
	Timeout time.Duration
	// Progress is told each step in a few words; it may be nil.
	Progress func(string)
}

// InstallChart installs a chart, or upgrades it when it is there; running it again is safe
// at any point. CRDs of the chart are applied first, unlike Helm, which never updates them. An
// installation that was killed is taken over. When the workloads do not get
// ready in time the error says the deepest cause, and what is installed stays.
func InstallChart(ctx context.Context, o InstallOptions) error {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Timeout == 0 {
		o.Timeout = defaultWaitTimeout
	}
	pkg, err := packageFromFS(o.Chart, "")
	if err != nil {
		return err
	}
	c, err := newDirectClient(o.RESTConfig)
	if err != nil {
		return err
	}
	if err := applyCRDs(ctx, c, pkg, o.Progress); err != nil {
		return err
	}
	if err := ensureNamespace(ctx, c, o.Namespace); err != nil {
		return err
	}
	s, err := newSDK(o.RESTConfig, c.RESTMapper())
	if err != nil {
		return err
	}
	cfg, err := s.configuration(o.RESTConfig, o.Namespace)
	if err != nil {
		return err
	}
	j := &job{cfg: cfg, name: o.Release, namespace: o.Namespace, chart: pkg, values: o.Values,
		want: wanted{WaitTimeout: o.Timeout}}
	j.spec.SkipCRDs, j.spec.SSAForceConflicts = true, true
	if j.want.Inputs, err = inputsDigest(pkg.Digest, o.Values); err != nil {
		return err
	}
	if err := installOrUpgrade(ctx, j, o.Progress); err != nil {
		return err
	}
	if !o.Wait {
		return nil
	}
	o.Progress("waiting until its workloads are ready")
	return waitReady(ctx, j, &tenant{Namespace: o.Namespace, client: c})
}

// installOrUpgrade chooses by Helm's last record.
func installOrUpgrade(ctx context.Context, j *job, progress func(string)) error {
	releases, err := history(j.cfg, j.name)
	if err != nil {
		return err
	}
	var last *revision
	if len(releases) > 0 {
		last = toRevision(releases[len(releases)-1])
	}
	what := fmt.Sprintf("chart %s %s", j.chart.Name, j.chart.Version)
	switch {
	case last == nil, last.State == stateUninstalled:
		progress("installing " + what)
		if err := (&install{job: j, replace: last != nil}).perform(ctx); err != nil {
			return fmt.Errorf("installing %s: %w", what, err)
		}
		return nil
	case last.State == stateUninstalling:
		return fmt.Errorf("installing %s: release %s in namespace %s is being uninstalled; uninstall it again, then install", what, j.name, j.namespace)
	case strings.HasPrefix(last.State, "pending-"):
		progress("taking over an installation that was interrupted")
		if err := (&unlock{job: j}).perform(ctx); err != nil {
			return err
		}
	}
	progress("upgrading to " + what)
	if err := (&upgrade{job: j}).perform(ctx); err != nil {
		return fmt.Errorf("upgrading to %s: %w", what, err)
	}
	return nil
}

// waitReady waits by watching, and explains when it was in vain.
func waitReady(ctx context.Context, j *job, t *tenant) error {
	last, err := j.last()
	if err != nil {
		return err
	}
	resources, err := j.cfg.KubeClient.Build(bytes.NewBufferString(last.Manifest), false)
	if err != nil {
		return fmt.Errorf("reading the installed objects: %w", err)
	}
	waiter, err := newWaiter(ctx, j.cfg)
	if err != nil {
		return err
	}
	waited := waiter.Wait(resources, j.want.WaitTimeout)
	if waited == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	found, err := t.readiness(ctx, last.Manifest, j.name)
	if err != nil || found.Message == "" {
		return fmt.Errorf("waiting for release %s: %w", j.name, errors.Join(waited, err))
	}
	return fmt.Errorf("release %s is not ready after %s: %s", j.name, j.want.WaitTimeout, found.Message)
}

// newWaiter watches with kstatus and ends with ctx.
func newWaiter(ctx context.Context, cfg *action.Configuration) (kube.Waiter, error) {
	c, ok := cfg.KubeClient.(kube.InterfaceWaitOptions)
	if !ok {
		return nil, fmt.Errorf("Helm's client %T cannot wait with a context", cfg.KubeClient)
	}
	waiter, err := c.GetWaiterWithOptions(kube.StatusWatcherStrategy, kube.WithWaitContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("preparing to wait: %w", err)
	}
	return waiter, nil
}

// applyCRDs applies the chart's crds folder and waits until the kinds are served.
func applyCRDs(ctx context.Context, c client.Client, pkg *chartPackage, progress func(string)) error {
	crds, err := crdsOf(pkg)
	if err != nil || len(crds) == 0 {
		return err
	}
	progress(fmt.Sprintf("applying %d definitions of kinds", len(crds)))
	if _, err := apply.New(c, installOwner).Apply(ctx, crds...); err != nil {
		return fmt.Errorf("applying the CRDs of chart %s: %w", pkg.Name, err)
	}
	return nil
}

// crdsOf reads the chart's crds folder, one object a document.
func crdsOf(pkg *chartPackage) ([]*unstructured.Unstructured, error) {
	chart, err := pkg.Load()
	if err != nil {
		return nil, err
	}
	var crds []*unstructured.Unstructured
	for _, crd := range chart.CRDObjects() {
		for _, doc := range bytes.Split(crd.File.Data, []byte("\n---\n")) {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal(doc, &obj.Object); err != nil {
				return nil, fmt.Errorf("reading %s: %w", crd.Filename, err)
			}
			if obj.Object != nil {
				crds = append(crds, obj)
			}
		}
	}
	return crds, nil
}

// ensureNamespace creates the namespace when it is missing, and touches none that is there.
func ensureNamespace(ctx context.Context, c client.Client, name string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := c.Create(ctx, ns); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

// newDirectClient reads from the API server.
func newDirectClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("preparing a client: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("preparing a client: %w", err)
	}
	return c, nil
}
