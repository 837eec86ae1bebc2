// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tunnel reaches the API server of a virtual cluster from a person's machine: at its
// ClusterIP where that is routed (the local platform, a machine inside the host's network), else
// through the host's API server by a port-forward to the pool member that serves it.
package tunnel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const (
	// answerTime is how long the ClusterIP may take to accept a connection.
	answerTime = 300 * time.Millisecond
	// handshakeTime is how long it may then take to prove that it is the virtual cluster: something
	// is there, and it may be busy.
	handshakeTime = 10 * time.Second
)

// Host is the host cluster as the person reaches it.
type Host struct {
	Config *rest.Config
	Client client.Reader
}

// Tunnel is an open way to one virtual cluster. Close it when done.
type Tunnel struct {
	// Name of the virtual cluster.
	Name string
	// UID of the VirtualCluster, which tells it from one that had the name before.
	UID string
	// Address is host:port, reachable from here while the tunnel is open.
	Address string
	// Direct is set when Address stays reachable without this process.
	Direct bool

	admin   *rest.Config
	forward *forward
}

// NotReadyError says that a virtual cluster cannot be reached yet, and why.
type NotReadyError struct{ message string }

func (e *NotReadyError) Error() string { return e.message }

// Open finds the way to the virtual cluster. It fails with a *NotReadyError when there is
// no such virtual cluster, or its control plane does not serve.
func Open(ctx context.Context, host Host, name string) (*Tunnel, error) {
	t, vc, err := prepare(ctx, host, name)
	if err != nil {
		return nil, err
	}
	if vc.Status.ServiceIP != "" {
		address := net.JoinHostPort(vc.Status.ServiceIP, "443")
		if t.answers(ctx, address) {
			t.Address, t.Direct = address, true
			return t, nil
		}
	}
	if err := t.Forward(ctx, host, 0); err != nil {
		return nil, err
	}
	return t, nil
}

// prepare reads the administrator's kubeconfig.
func prepare(ctx context.Context, host Host, name string) (*Tunnel, *v1alpha1.VirtualCluster, error) {
	vc := &v1alpha1.VirtualCluster{}
	if err := host.Client.Get(ctx, client.ObjectKey{Name: name}, vc); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil, &NotReadyError{fmt.Sprintf("there is no virtual cluster %s; `skerry get` lists what there is", name)}
		}
		return nil, nil, fmt.Errorf("reading VirtualCluster %s: %w", name, err)
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: name, Name: v1alpha1.KubeconfigSecret(name)}
	if err := host.Client.Get(ctx, key, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil, &NotReadyError{fmt.Sprintf("virtual cluster %s is not ready: its kubeconfig (Secret %s) is not there yet; `skerry get %s` says what it waits for", name, key, name)}
		}
		return nil, nil, fmt.Errorf("reading Secret %s, which holds the virtual cluster's kubeconfig: %w", key, err)
	}
	admin, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["config"])
	if err != nil {
		return nil, nil, fmt.Errorf("reading key config of Secret %s: %w", key, err)
	}
	return &Tunnel{Name: name, UID: string(vc.UID), admin: admin}, vc, nil
}

// ServerName is the name that the API server's certificate is checked for, whatever the
// address.
func (t *Tunnel) ServerName() string { return t.Name + "." + t.Name + ".svc" }

// CA is the PEM of the authority that signs the API server's certificate.
func (t *Tunnel) CA() []byte { return t.admin.CAData }

// AdminConfig reaches the virtual cluster as its administrator while the tunnel is open.
func (t *Tunnel) AdminConfig() *rest.Config {
	c := rest.CopyConfig(t.admin)
	c.Host = "https://" + t.Address
	c.TLSClientConfig.ServerName = t.ServerName()
	c.QPS = -1
	c.Proxy = http.ProxyURL(nil) // the address was just dialled straight
	return c
}

// answers reports whether the API server of this virtual cluster, and not another program in another
// network with the same address, is at the address.
func (t *Tunnel) answers(ctx context.Context, address string) bool {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(t.CA()) {
		return false
	}
	dialer := net.Dialer{Timeout: answerTime}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	secure := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: t.ServerName(), MinVersion: tls.VersionTLS12})
	return secure.HandshakeContext(ctx) == nil
}

// Close ends the port-forward, when there is one.
func (t *Tunnel) Close() {
	if t.forward != nil {
		t.forward.stop()
	}
}

// errNoMember is the error of a virtual cluster that nobody serves.
var errNoMember = errors.New("no pool member serves it")
