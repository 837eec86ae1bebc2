// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// UninstallOptions say what UninstallChart removes.
type UninstallOptions struct {
	RESTConfig *rest.Config
	// Release in Namespace.
	Release, Namespace string
	// CRDsOf, when set, is the chart whose CRDs are removed too, and with them every object of
	// their kinds; rooted at the folder that holds Chart.yaml.
	CRDsOf fs.FS
	// DeleteNamespace removes the namespace, too.
	DeleteNamespace bool
	// Timeout until everything is gone; 0 means 5 minutes.
	Timeout time.Duration
	// Progress is told each step in a few words; it may be nil.
	Progress func(string)
}

// UninstallChart removes what InstallChart installed; a release that is not there is no error.
func UninstallChart(ctx context.Context, o UninstallOptions) error {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Timeout == 0 {
		o.Timeout = defaultWaitTimeout
	}
	c, err := newDirectClient(o.RESTConfig)
	if err != nil {
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
	o.Progress("uninstalling release " + o.Release)
	a := action.NewUninstall(cfg)
	a.IgnoreNotFound, a.Timeout, a.WaitStrategy = true, o.Timeout, kube.StatusWatcherStrategy
	a.WaitOptions = []kube.WaitOption{kube.WithWaitContext(ctx)}
	if _, err := a.Run(o.Release); err != nil {
		return fmt.Errorf("uninstalling release %s: %w", o.Release, because(err, cfg))
	}
	if o.CRDsOf != nil {
		if err := deleteCRDs(ctx, c, cfg, o); err != nil {
			return err
		}
	}
	if !o.DeleteNamespace {
		return nil
	}
	o.Progress("deleting namespace " + o.Namespace)
	ns := &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: o.Namespace},
	}
	if err := c.Delete(ctx, ns); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("deleting namespace %s: %w", o.Namespace, err)
	}
	return awaitGone(ctx, cfg, ns, o.Timeout)
}

// awaitGone watches an object until it does not exist any more.
func awaitGone(ctx context.Context, cfg *action.Configuration, obj client.Object, atMost time.Duration) error {
	kind := obj.GetObjectKind().GroupVersionKind().Kind
	text, err := yaml.Marshal(obj)
	if err != nil {
		return err
	}
	resources, err := cfg.KubeClient.Build(bytes.NewReader(text), false)
	if err != nil {
		return fmt.Errorf("waiting for the end of %s %s: %w", kind, obj.GetName(), err)
	}
	waiter, err := newWaiter(ctx, cfg)
	if err != nil {
		return err
	}
	if err := waiter.WaitForDelete(resources, atMost); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%[1]s %[2]s is not gone after %[3]s; `kubectl get %[1]s %[2]s -o yaml` shows what it waits for: %[4]w", kind, obj.GetName(), atMost, err)
	}
	return nil
}

// deleteCRDs deletes what applyCRDs applied, and waits until it is gone: a CRD that is ending takes back what the
// next installation applies.
func deleteCRDs(ctx context.Context, c client.Client, cfg *action.Configuration, o UninstallOptions) error {
	pkg, err := packageFromFS(o.CRDsOf, "")
	if err != nil {
		return err
	}
	crds, err := crdsOf(pkg)
	if err != nil {
		return err
	}
	o.Progress(fmt.Sprintf("deleting %d definitions of kinds", len(crds)))
	for _, crd := range crds {
		if err := c.Delete(ctx, crd); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting CRD %s: %w", crd.GetName(), err)
		}
	}
	for _, crd := range crds {
		if err := awaitGone(ctx, cfg, crd, o.Timeout); err != nil {
			return err
		}
	}
	return nil
}
