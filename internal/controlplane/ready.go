// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
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
	both, ctx := errgroup.WithContext(ctx)
	// What we add does not depend on what the API server itself is still adding.
	both.Go(func() error { return insist(ctx, cp.bootstrap) })
	both.Go(func() error { return cp.waitReady(ctx) })
	if err := both.Wait(); err != nil {
		return err
	}
	cp.runControllers()
	return nil
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
