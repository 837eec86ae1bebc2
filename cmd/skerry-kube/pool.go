// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	oamv1beta1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane"
	"github.com/skerry-platform/skerry/internal/controlplane/pool"
	"github.com/skerry-platform/skerry/internal/controlplane/template"
	"github.com/skerry-platform/skerry/internal/oam/fence"
)

type poolOptions struct {
	namespace, podName, podIP, dir string
	etcdEndpoints                  []string
	serviceCIDR                    string
	metricsAddress, healthAddress  string
}

func newPoolCommand() *cobra.Command {
	var o poolOptions
	cmd := &cobra.Command{
		Use:   "pool",
		Short: "Serve virtual control planes, many in one process",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runPool(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.namespace, "namespace", platformv1alpha1.SystemNamespace, "namespace of the Leases that members share the work by")
	f.StringVar(&o.podName, "pod-name", "", "name of this member")
	f.StringVar(&o.podIP, "pod-ip", "", "address of this member, where virtual clusters are served")
	f.StringVar(&o.dir, "dir", "/run/skerry", "folder, best in memory, with the private files of each virtual cluster")
	f.StringSliceVar(&o.etcdEndpoints, "etcd-endpoints", nil, "URLs of the etcd that holds the virtual clusters")
	f.StringVar(&o.serviceCIDR, "service-cidr", "", "range of the host's Services; empty: ask the host")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "address of /metrics")
	f.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	for _, required := range []string{"pod-name", "pod-ip", "etcd-endpoints"} {
		_ = cmd.MarkFlagRequired(required)
	}
	return cmd
}

func runPool(ctx context.Context, o poolOptions) error {
	address := net.ParseIP(o.podIP)
	if address == nil {
		return fmt.Errorf("--pod-ip %q is no IP address", o.podIP)
	}
	logger := zap.New(zap.JSONEncoder())
	ctrl.SetLogger(logger)
	klog.SetLogger(logger.WithName("kubernetes").V(1)) // of Kubernetes' own, errors only
	containFatal()
	mgr, err := newPoolManager(o)
	if err != nil {
		return err
	}
	if o.serviceCIDR == "" {
		host, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
		if err != nil {
			return fmt.Errorf("making the host's client: %w", err)
		}
		if o.serviceCIDR, err = pool.ServiceCIDR(ctx, host); err != nil {
			return err
		}
	}
	forNew, err := captureTemplate(ctx, filepath.Join(o.dir, templateFolder))
	if err != nil {
		return err
	}
	definitions := fence.New(fence.Options{Command: evaluateCommand})
	defer definitions.Close()
	err = pool.SetupWithManager(ctx, mgr, pool.Options{
		Namespace: o.namespace, Member: o.podName, Address: address, Dir: o.dir,
		Version: version.Get().GitVersion, Registerer: metrics.Registry,
		Tenants: &tenantFactory{
			etcdEndpoints: o.etcdEndpoints, serviceCIDR: o.serviceCIDR, address: o.podIP, shared: mgr.GetCache(),
			definitions: definitions,
			template:    forNew,
		},
	})
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// templateFolder in the pool's cannot be a tenant's, which is a name of Kubernetes.
const templateFolder = ".template"

// captureTemplate begins at once and gives what new tenants wait for. A member without the template
// serves as well, its tenants only start slower.
func captureTemplate(ctx context.Context, dir string) (template.Source, error) {
	version, err := controlplane.TemplateVersion()
	if err != nil {
		return template.Source{}, err
	}
	done := make(chan struct{})
	var captured *template.Template
	go func() {
		defer close(done)
		began := time.Now()
		made, err := controlplane.CaptureTemplate(ctx, dir)
		if err != nil {
			ctrl.Log.Error(err, "new virtual clusters will start without a template")
			return
		}
		captured = made
		ctrl.Log.Info("captured the template of new virtual clusters", "objects", made.Len(), "after", time.Since(began).Round(time.Millisecond).String())
	}()
	return template.Source{Version: version, Get: func(ctx context.Context) (*template.Template, error) {
		select {
		case <-done:
			return captured, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}, nil
}

// newPoolManager reads the host as the member itself: VirtualClusters, and what every
// tenant is shown. Definitions are read in their one namespace only.
func newPoolManager(o poolOptions) (ctrl.Manager, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the host cluster: %w", err)
	}
	config.QPS, config.Burst = -1, 0
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), platformv1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	definitions := cache.ByObject{Namespaces: map[string]cache.Config{platformv1alpha1.DefinitionNamespace: {}}}
	byObject := map[client.Object]cache.ByObject{}
	for _, kind := range []string{"ComponentDefinition", "TraitDefinition", "PolicyDefinition", "WorkflowStepDefinition"} {
		byObject[untyped(oamv1beta1.GroupVersion.WithKind(kind))] = definitions
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Metrics:                metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress: o.healthAddress,
		Cache:                  cache.Options{ByObject: byObject, DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		return nil, fmt.Errorf("building the manager: %w", err)
	}
	return mgr, errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping))
}

func untyped(gvk schema.GroupVersionKind) client.Object {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(gvk)
	return o
}
