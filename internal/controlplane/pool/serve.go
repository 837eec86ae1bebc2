// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// serveOnce runs the tenant until ctx is done or the runner is to retire (nil), or a
// part of the tenant fails (the error).
func (r *runner) serveOnce(ctx context.Context) error {
	began := time.Now()
	vc, err := r.claim(ctx)
	if err != nil || vc == nil {
		return err
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	secrets := r.watchSecret(watching)
	data, err := firstSecret(ctx, secrets)
	if err != nil {
		return fmt.Errorf("reading Secret %s/%s: %w", r.name, platformv1alpha1.ControlPlaneSecret(r.name), err)
	}
	dir := filepath.Join(r.Dir, r.name)
	defer os.RemoveAll(dir)
	tenant, err := r.Tenants.Start(ctx, Spec{
		Name: r.name, Dir: dir, Secret: data,
		EtcdPrefix: vc.Status.EtcdPrefix, ServiceIP: vc.Status.ServiceIP, DNSIP: vc.Status.DNSIP,
		Host: r.tenantConfig(r.name), Quota: r.quota,
	})
	if err != nil {
		return err
	}
	r.metrics.running.Inc()
	defer r.metrics.running.Dec()
	defer r.stop(ctx, tenant)
	if err := r.applyEndpoints(ctx, tenant.Ports()); err != nil {
		return err
	}
	if err := r.reportReady(ctx); err != nil {
		return err
	}
	r.memory.changed()
	r.metrics.start.Observe(time.Since(began).Seconds())
	log.FromContext(ctx).Info("serving", "after", time.Since(began).Round(time.Millisecond).String(), "port", tenant.Ports().API)
	return r.follow(ctx, tenant, secrets)
}

// quota is what the cache knows of it.
func (r *runner) quota() (*platformv1alpha1.Quota, *platformv1alpha1.QuotaStatus) {
	vc := &platformv1alpha1.VirtualCluster{}
	if err := r.client.Get(r.ctx, client.ObjectKey{Name: r.name}, vc); err != nil {
		return nil, nil // the host's own admission holds all the same
	}
	return vc.Spec.Quota, vc.Status.Quota
}

// follow hands rotated certificates to the tenant until it is over.
func (r *runner) follow(ctx context.Context, tenant Tenant, secrets <-chan map[string][]byte) error {
	for {
		select {
		case data := <-secrets:
			if err := tenant.UpdateSecret(data); err != nil {
				return fmt.Errorf("taking rotated certificates: %w", err)
			}
		case <-tenant.Done():
			return errors.Join(errors.New("the control plane ended"), tenant.Err())
		case <-r.retiring:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// claim reads the VirtualCluster as it is now and writes the finalizer. While there is nothing
// to serve (it was paused, say, since the reconciler saw it) it waits for the reconciler's next word, and is
// nil when that is the end.
func (r *runner) claim(ctx context.Context) (*platformv1alpha1.VirtualCluster, error) {
	vc := &platformv1alpha1.VirtualCluster{}
	err := r.live.Get(ctx, client.ObjectKey{Name: r.name}, vc)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the VirtualCluster: %w", err)
	}
	if err != nil || vc.UID != r.uid || decide(vc) != serve {
		select {
		case <-r.news:
			return r.claim(ctx)
		case <-r.retiring:
		case <-ctx.Done():
		}
		return nil, nil
	}
	before := vc.DeepCopy()
	if controllerutil.AddFinalizer(vc, platformv1alpha1.FinalizerControlPlane) {
		err := r.client.Patch(ctx, vc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		if apierrors.IsConflict(err) {
			return r.claim(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("adding finalizer %s: %w", platformv1alpha1.FinalizerControlPlane, err)
		}
	}
	return vc, nil
}

// stop ends the tenant even when ctx is done.
func (r *runner) stop(ctx context.Context, tenant Tenant) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	defer r.memory.changed()
	began := time.Now()
	if err := tenant.Stop(bounded); err != nil {
		log.FromContext(ctx).Error(err, "the control plane did not stop in order")
		return
	}
	log.FromContext(ctx).Info("stopped", "after", time.Since(began).Round(time.Millisecond).String())
}
