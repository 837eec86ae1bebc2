// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	rbacrest "k8s.io/kubernetes/pkg/registry/rbac/rest"
	schedulingrest "k8s.io/kubernetes/pkg/registry/scheduling/rest"

	"github.com/skerry-platform/skerry/internal/controlplane/template"
)

const (
	readyTimeout  = 2 * time.Minute
	readyInterval = 15 * time.Millisecond
)

// becomeReady waits for /readyz, installs what every virtual cluster has, and starts
// the controllers.
func (cp *ControlPlane) becomeReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	side, sctx := errgroup.WithContext(ctx)
	// What we add does not depend on what the API server itself is still adding.
	side.Go(func() error { return insist(sctx, cp.applyKubernetesEndpoint) })
	if cp.origin == template.Foreign {
		side.Go(func() error { return insist(sctx, cp.bootstrap) })
	}
	side.Go(func() error { return cp.waitReady(sctx) })
	if err := side.Wait(); err != nil {
		return err
	}
	if cp.origin == template.Foreign {
		if err := cp.markComplete(ctx); err != nil {
			return err
		}
	}
	cp.runControllers()
	if cp.origin == template.Complete {
		go cp.repair(cp.controllersCtx)
	}
	return nil
}

// repair does what every start of an API server does: it brings back the bootstrap
// objects that somebody has deleted or cut down, see
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#auto-reconciliation. A tenant
// that starts again need not wait for it, because they were there once. The API
// server's own hooks look at ctx only between two of them.
func (cp *ControlPlane) repair(ctx context.Context) {
	if err := insist(ctx, cp.bootstrap); err != nil {
		return // stopping
	}
	for _, provider := range []genericapiserver.PostStartHookProvider{rbacrest.RESTStorageProvider{}, schedulingrest.RESTStorageProvider{}} {
		name, hook, err := provider.PostStartHook()
		if err == nil && ctx.Err() == nil {
			err = hook(genericapiserver.PostStartHookContext{Context: ctx, LoopbackClientConfig: cp.server.loopback})
		}
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "cannot repair bootstrap objects", "hook", name)
		}
	}
}

// insist calls f until it succeeds: while an API server starts it refuses requests for
// several reasons, and offers no event for the end of them.
func insist(ctx context.Context, f func(context.Context) error) error {
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// waitReady asks /readyz until it says ok: the API server offers no event for it.
func (cp *ControlPlane) waitReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a client for /readyz: %w", err)
	}
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	var last string
	for {
		body, err := client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil && string(body) == "ok" {
			return nil
		}
		if len(body) > 0 {
			last = string(body)
		}
		select {
		case <-tick.C:
		case <-cp.done:
			return errors.Join(errors.New("the API server ended before it was ready"), cp.Err())
		case <-ctx.Done():
			return fmt.Errorf("waiting for /readyz: %w; it said last: %s", ctx.Err(), last)
		}
	}
}
