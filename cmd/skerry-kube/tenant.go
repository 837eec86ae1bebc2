// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skerry-platform/skerry/internal/controlplane"
	"github.com/skerry-platform/skerry/internal/controlplane/dns"
	"github.com/skerry-platform/skerry/internal/controlplane/pool"
	"github.com/skerry-platform/skerry/internal/controlplane/template"
	"github.com/skerry-platform/skerry/internal/oam"
	"github.com/skerry-platform/skerry/internal/oam/fence"
	"github.com/skerry-platform/skerry/internal/oam/render"
	"github.com/skerry-platform/skerry/internal/quota"
	"github.com/skerry-platform/skerry/internal/syncer"
)

// oamUser is the OAM engine inside a virtual cluster.
const oamUser = "skerry:oam"

// tenantFactory puts one virtual control plane together: API server and controllers,
// syncer, OAM engine, DNS.
type tenantFactory struct {
	etcdEndpoints        []string
	serviceCIDR, address string
	shared               syncer.SharedSource
	// definitions evaluates the CUE of every tenant, each within its limits.
	definitions *fence.Fence
	// template of new tenants, which wait until there is one.
	template template.Source
}

// hooks are the syncer, as the control plane sees it.
type hooks struct{ *syncer.Syncer }

func (h hooks) AllocateService(ctx context.Context, virtual *corev1.Service) (*corev1.Service, error) {
	return h.Syncer.AllocateService(ctx, virtual)
}

func (h hooks) PodHost(ctx context.Context, namespace string) (controlplane.Target, error) {
	t, err := h.Syncer.PodHost(ctx, namespace)
	return controlplane.Target{BaseURL: t.BaseURL, Transport: t.Transport, Namespace: t.Namespace}, err
}

// Start implements pool.Factory.
func (f *tenantFactory) Start(ctx context.Context, spec pool.Spec) (pool.Tenant, error) {
	sync, err := syncer.New(syncer.Config{
		VirtualCluster: spec.Name, Host: quota.ReportRefusals(spec.Host), ServiceIP: spec.ServiceIP, DNSIP: spec.DNSIP, Shared: f.shared,
	})
	if err != nil {
		return nil, err
	}
	cp, err := controlplane.Start(ctx, controlplane.Config{
		Name: spec.Name, Dir: spec.Dir, Secret: spec.Secret, Template: f.template,
		EtcdEndpoints: f.etcdEndpoints, EtcdPrefix: spec.EtcdPrefix,
		ServiceCIDR: f.serviceCIDR, KubernetesServiceIP: net.ParseIP(spec.ServiceIP),
		// All addresses: a port-forward to the member arrives on loopback.
		BindAddress: "0.0.0.0", Hooks: hooks{sync}, Quota: spec.Quota,
	})
	if err != nil {
		return nil, err
	}
	t := &tenant{cp: cp, done: make(chan struct{})}
	if err := t.startDNS(spec, f.address); err != nil {
		return nil, errors.Join(err, t.Stop(context.WithoutCancel(ctx)))
	}
	t.runBeside(ctx, spec.Name, sync, f.definitions.Tenant())
	return t, nil
}

// tenant is one virtual control plane with all that runs beside it.
type tenant struct {
	cp     *controlplane.ControlPlane
	dns    *dns.Server
	cancel context.CancelFunc
	parts  sync.WaitGroup

	done chan struct{}
	end  sync.Once
	err  error
}

func (t *tenant) startDNS(spec pool.Spec, address string) error {
	kubeconfig := filepath.Join(spec.Dir, "dns.kubeconfig")
	if err := writeKubeconfig(kubeconfig, address, t.cp.Port(), spec.Secret, controlplane.DNSUser); err != nil {
		return err
	}
	server, err := dns.Start(dns.Config{
		VirtualCluster: spec.Name, Kubeconfig: kubeconfig, BindAddress: address, Log: ctrl.Log.WithName("kubernetes").V(1),
	})
	if err != nil {
		return err
	}
	t.dns = server
	return nil
}

// runBeside starts what needs the API server. When one part ends, the tenant has ended:
// the pool member starts all of it again.
func (t *tenant) runBeside(ctx context.Context, name string, s *syncer.Syncer, definitions render.Evaluator) {
	ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	part := func(what string, run func() error) {
		t.parts.Go(func() {
			err := run()
			if ctx.Err() == nil {
				t.ended(fmt.Errorf("the %s ended: %w", what, orUnexpected(err)))
			}
		})
	}
	part("syncer", func() error { return s.Run(ctx, t.cp.RESTConfigAs(controlplane.SyncerUser)) })
	part("OAM engine", func() error {
		return oam.Run(ctx, oam.Options{
			Virtual: t.cp.RESTConfigAs(oamUser, controlplane.AdminGroup), ClusterName: name, Evaluator: definitions,
			Log: log.FromContext(ctx).WithName("oam"),
		})
	})
	part("API server", func() error {
		select {
		case <-t.cp.Done():
		case <-ctx.Done():
		}
		return t.cp.Err()
	})
}

func orUnexpected(err error) error {
	if err == nil {
		return errors.New("without an error")
	}
	return err
}

func (t *tenant) ended(err error) {
	t.end.Do(func() {
		t.err = err
		close(t.done)
	})
}

func (t *tenant) Ports() pool.Ports {
	return pool.Ports{API: t.cp.Port(), DNSUDP: t.dns.UDPPort(), DNSTCP: t.dns.TCPPort()}
}

func (t *tenant) UpdateSecret(data map[string][]byte) error { return t.cp.UpdateSecret(data) }
func (t *tenant) Done() <-chan struct{}                     { return t.done }

// Err is valid once Done is closed.
func (t *tenant) Err() error { return t.err }

// Stop ends first what writes, then DNS, then the API server.
func (t *tenant) Stop(ctx context.Context) error {
	if t.cancel != nil {
		t.cancel()
		t.parts.Wait()
	}
	var err error
	if t.dns != nil {
		err = t.dns.Stop()
	}
	return errors.Join(err, t.cp.Stop(ctx))
}
