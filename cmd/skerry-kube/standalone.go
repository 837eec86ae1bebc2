// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
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
	cp, err := controlplane.Start(context.WithoutCancel(ctx), cfg)
	if err != nil {
		return err
	}
	if err := writeKubeconfig(filepath.Join(o.dir, "kubeconfig"), cp.Port(), secret); err != nil {
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

// writeKubeconfig writes an administrator's kubeconfig with one rename.
func writeKubeconfig(path string, port int, secret map[string][]byte) error {
	ca, err := pki.LoadCA(secret[platformv1alpha1.KeyCACert], secret[platformv1alpha1.KeyCAKey])
	if err != nil {
		return err
	}
	admin, err := ca.Client("admin", "system:masters")
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["standalone"] = &clientcmdapi.Cluster{
		Server:                   fmt.Sprintf("https://127.0.0.1:%d", port),
		CertificateAuthorityData: secret[platformv1alpha1.KeyCACert],
	}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: admin.Cert, ClientKeyData: admin.Key}
	config.Contexts["standalone"] = &clientcmdapi.Context{Cluster: "standalone", AuthInfo: "admin"}
	config.CurrentContext = "standalone"
	next := path + ".next"
	if err := clientcmd.WriteToFile(*config, next); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return os.Rename(next, path)
}
