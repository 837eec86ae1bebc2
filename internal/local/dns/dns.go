// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dns is the cluster DNS server: CoreDNS, linked in with the few plugins that
// a cluster needs. It serves stations 4 and 9 of docs/flow.md: the names of Services
// and Pods, on the host cluster.
package dns

import (
	"context"
	"fmt"
	"os"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"

	// The plugins that a Corefile may name.
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
)

// Run serves the Corefile at path until the context ends. A Corefile that does not
// parse, names an unknown plugin, or asks for a port that is taken is an error.
func Run(ctx context.Context, path string) error {
	contents, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the Corefile: %w", err)
	}
	caddy.Quiet = true
	dnsserver.Quiet = true
	instance, err := caddy.Start(caddy.CaddyfileInput{Contents: contents, Filepath: path, ServerTypeName: "dns"})
	if err != nil {
		return fmt.Errorf("starting DNS from %s: %w", path, err)
	}
	<-ctx.Done()
	// The health plugin's lameduck runs in the shutdown callbacks.
	for _, err := range instance.ShutdownCallbacks() {
		fmt.Fprintf(os.Stderr, "stopping DNS: %v\n", err)
	}
	if err := instance.Stop(); err != nil {
		return fmt.Errorf("stopping DNS: %w", err)
	}
	return nil
}
