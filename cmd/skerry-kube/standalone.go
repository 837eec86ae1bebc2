// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-platform/skerry/charts"
	"github.com/skerry-platform/skerry/internal/controlplane"
	"github.com/skerry-platform/skerry/internal/controlplane/etcd"
	"github.com/skerry-platform/skerry/internal/controlplane/pki"
)

const stopTimeout = 20 * time.Second

type standaloneOptions struct {
	dir         string
	port        int
	crds        bool
	workloads   bool
	parentStdin bool
}

func newStandaloneCommand() *cobra.Command {
	var o standaloneOptions
	cmd := &cobra.Command{
		Use:   "standalone --dir DIR",
		Short: "Run one API server with its own etcd and no nodes, for tests",
		Long: `Run etcd and one control plane on loopback, with every CRD of the install chart.
When they serve, DIR/kubeconfig appears, with the rights of cluster-admin. Ends on SIGTERM.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runStandalone(cmd.Context(), o, cmd.InOrStdin()) },
	}
	cmd.Flags().StringVar(&o.dir, "dir", "", "folder for data, certificates and the kubeconfig")
	cmd.Flags().IntVar(&o.port, "port", 0, "port of the API server; 0 is any free one")
	cmd.Flags().BoolVar(&o.crds, "crds", true, "serve the CRDs of the install chart")
	cmd.Flags().BoolVar(&o.workloads, "workloads", false, "run the controllers of workloads too (Deployment, Job and so on)")
	cmd.Flags().BoolVar(&o.parentStdin, "until-stdin-closes", false, "end also when standard input is closed")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}

func runStandalone(ctx context.Context, o standaloneOptions, stdin io.Reader) error {
	if o.parentStdin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() {
			_, _ = io.Copy(io.Discard, stdin)
			cancel()
		}()
	}
	store, err := etcd.Start(ctx, etcd.Config{
		Name: "standalone", DataDir: filepath.Join(o.dir, "etcd"),
		ListenClient: "http://127.0.0.1:0", UnsafeNoFsync: true,
	})
	if err != nil {
		return err
	}
	defer store.Stop()
	secret, err := pki.ControlPlane(nil, []net.IP{net.IPv4(10, 96, 0, 1)})
	if err != nil {
		return err
	}
	cfg := controlplane.Config{
		Name: "standalone", Dir: filepath.Join(o.dir, "control-plane"), Secret: secret,
		EtcdEndpoints: []string{store.Endpoint()}, EtcdPrefix: "/registry",
		ServiceCIDR: "10.96.0.0/16", BindAddress: "127.0.0.1", Port: o.port, CRDs: [][]byte{},
		Controllers: controlplane.ClusterControllers,
	}
	if o.workloads {
		cfg.Controllers = controlplane.AllControllers
	}
	if o.crds {
		if cfg.CRDs, err = charts.CRDs(); err != nil {
			return err
		}
	}
	cp, err := controlplane.Start(ctx, cfg)
	if err != nil {
		return err
	}
	if err := writeKubeconfig(filepath.Join(o.dir, "kubeconfig"), "127.0.0.1", cp.Port(), secret, "admin", "system:masters"); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-cp.Done():
	case err := <-store.Err():
		return errors.Join(err, stop(cp))
	}
	return errors.Join(cp.Err(), stop(cp))
}

func stop(cp *controlplane.ControlPlane) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return cp.Stop(ctx)
}
