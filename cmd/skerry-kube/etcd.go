// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/skerry-platform/skerry/internal/controlplane/etcd"
)

type etcdOptions struct {
	config etcd.Config
	tls    etcd.TLS
}

func newEtcdCommand() *cobra.Command {
	var o etcdOptions
	cmd := &cobra.Command{
		Use:   "etcd --data-dir DIR",
		Short: "Run the etcd that holds the state of all virtual clusters",
		Long: `Run one etcd server that admits only clients with a certificate of its client CA. It
compacts itself, because virtual control planes may not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEtcd(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.config.DataDir, "data-dir", "", "folder of the database")
	f.StringVar(&o.config.Name, "name", "skerry-etcd-0", "name of this member")
	f.StringVar(&o.config.ListenClient, "listen-client-url", "https://0.0.0.0:2379", "URL to serve clients on")
	f.StringVar(&o.config.AdvertiseClient, "advertise-client-url", "", "URL that clients are told; default: the one served on")
	f.StringVar(&o.config.ListenMetrics, "listen-metrics-url", "http://0.0.0.0:2381", "URL of /metrics and /health, without TLS")
	f.StringVar(&o.tls.CertFile, "cert-file", "", "serving certificate")
	f.StringVar(&o.tls.KeyFile, "key-file", "", "its private key")
	f.StringVar(&o.tls.ClientCAFile, "client-ca-file", "", "CA of the clients' certificates")
	for _, required := range []string{"data-dir", "cert-file", "key-file", "client-ca-file"} {
		_ = cmd.MarkFlagRequired(required)
	}
	return cmd
}

func runEtcd(ctx context.Context, o etcdOptions) error {
	o.config.TLS = &o.tls
	server, err := etcd.Start(ctx, o.config)
	if err != nil {
		return err
	}
	defer server.Stop()
	select {
	case err := <-server.Err():
		return fmt.Errorf("serving etcd: %w", err)
	case <-ctx.Done():
		return nil
	}
}
