// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/skerry-platform/skerry/internal/claim/request"
	"github.com/skerry-platform/skerry/internal/cli/tunnel"
)

// connectOptions is one way into a virtual cluster.
type connectOptions struct {
	*common
	lifetime time.Duration
	// inFile is the kubeconfig that a context is written into.
	inFile string
}

// connected is a context that was written.
type connected struct {
	Context    string    `json:"context"`
	Kubeconfig string    `json:"kubeconfig"`
	User       string    `json:"user"`
	Server     string    `json:"server"`
	Expires    time.Time `json:"expires"`
	// Forwarding is set when the context works only as long as the command runs.
	Forwarding bool `json:"forwarding"`
}

func (c *common) connectCommand() *cobra.Command {
	o := &connectOptions{common: c}
	cmd := &cobra.Command{
		Use:   "connect NAME [-- KUBECTL ARGUMENTS]",
		Short: "Go into an application's virtual cluster",
		Long: `With arguments, run kubectl (which is part of this program) in the virtual cluster.

Without, write a context skerry-NAME into your kubeconfig: a client certificate of your own, with
your name on the host, that expires. Other entries stay as they are. Where the virtual cluster's
address is not routed to this machine, connect stays and forwards until you stop it.`,
		Example: `  skerry connect customer-service -- get pods
  skerry connect customer-service
  kubectl --context skerry-customer-service get pods`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || cmd.ArgsLenAtDash() == 0 || (cmd.ArgsLenAtDash() < 0 && len(args) > 1) || cmd.ArgsLenAtDash() > 1 {
				return usage("one name is needed, and kubectl's arguments after --: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return o.RunKubectl(cmd.Context(), args[0], args[1:])
			}
			return o.RunContext(cmd.Context(), args[0])
		},
	}
	cmd.Flags().DurationVar(&o.lifetime, "lifetime", 8*time.Hour, "of the certificate, at least 10m")
	c.outputFlag(cmd)
	cmd.Flags().StringVar(&o.inFile, "write-to", "", "kubeconfig to write the context into (default: the first of $KUBECONFIG, or ~/.kube/config)")
	return c.named(cmd, applications, environments)
}

// environmentOf is the virtual cluster that an application runs in; a name that no claim has may be
// a virtual cluster's own.
func (h *host) environmentOf(ctx context.Context, name string) string {
	if claim, err := h.readClaim(ctx, name); err == nil {
		return request.Target(claim.Spec)
	}
	return name
}

// RunKubectl runs kubectl in the virtual cluster.
func (o *connectOptions) RunKubectl(ctx context.Context, name string, args []string) error {
	h, err := o.host()
	if err != nil {
		return err
	}
	t, err := tunnel.Open(ctx, h.tunnelHost(), h.environmentOf(ctx, name))
	if err != nil {
		return err
	}
	defer t.Close()
	return o.program.kubectl(ctx, o.program.virtualFlags(t.AdminConfig(), t.UID), args)
}

// RunContext writes the context and stays to forward where that is needed.
func (o *connectOptions) RunContext(ctx context.Context, name string) error {
	if o.lifetime < minLifetime {
		return usage("--lifetime %s: at least %s is possible", o.lifetime, minLifetime)
	}
	file, err := o.targetFile()
	if err != nil {
		return err
	}
	h, err := o.host()
	if err != nil {
		return err
	}
	t, err := tunnel.Open(ctx, h.tunnelHost(), h.environmentOf(ctx, name))
	if err != nil {
		return err
	}
	defer t.Close()
	user, err := h.whoAmI(ctx)
	if err != nil {
		return err
	}
	cred, err := issue(ctx, t.AdminConfig(), user, o.lifetime)
	if err != nil {
		return fmt.Errorf("getting a certificate for %s in virtual cluster %s: %w", user, t.Name, err)
	}
	entry := "skerry-" + name
	cluster := &clientcmdapi.Cluster{
		Server: "https://" + t.Address, TLSServerName: t.ServerName(), CertificateAuthorityData: t.CA(),
	}
	if err := writeContext(file, entry, cluster, cred); err != nil {
		return err
	}
	made := connected{Context: entry, Kubeconfig: file, User: user, Server: cluster.Server, Expires: cred.expires, Forwarding: !t.Direct}
	err = o.print(made, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "Wrote context %s into %s: you are %q there, until %s.\n  kubectl --context %s get pods\n",
			entry, file, user, cred.expires.Local().Format("2006-01-02 15:04"), entry)
		return err
	})
	if err != nil || t.Direct {
		return err
	}
	fmt.Fprintf(o.people(), "The virtual cluster's address is not routed to this machine: forwarding %s through the host's API server.\nThe context works as long as this command runs; stop it with Ctrl-C.\n", t.Address)
	return o.keepForwarding(ctx, h, t)
}

// targetFile is the kubeconfig that the context goes into.
func (o *connectOptions) targetFile() (string, error) {
	switch {
	case o.inFile != "":
		return o.inFile, nil
	case o.kubeconfig != "":
		return o.kubeconfig, nil
	}
	if list := filepath.SplitList(o.program.Getenv(clientcmd.RecommendedConfigPathEnvVar)); len(list) > 0 && list[0] != "" {
		return list[0], nil
	}
	if own := o.ownKubeconfig(); own != "" {
		return own, nil
	}
	return "", usage("there is no home directory to write a kubeconfig into; name a file with --write-to")
}

// whoAmI is the person's name on the host, as its API server knows it.
func (h *host) whoAmI(ctx context.Context) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := h.client.Create(ctx, review); err != nil {
		return "", fmt.Errorf("asking the host cluster who you are: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

// keepForwarding forwards at the same local port until the person stops it, also when the pool
// member moves.
func (o *connectOptions) keepForwarding(ctx context.Context, h *host, t *tunnel.Tunnel) error {
	_, text, err := net.SplitHostPort(t.Address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.Lost():
		}
		fmt.Fprintln(o.program.ErrOut, "The connection to the pool member is lost; connecting again.")
		for {
			if err := t.Forward(ctx, h.tunnelHost(), port); err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(reconnect):
			}
		}
	}
}
