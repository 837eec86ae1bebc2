// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package etcdtest gives tests a real etcd with TLS and client certificates, as the
// install chart runs it. Belongs to station 4 of docs/flow.md.
package etcdtest

import (
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/skerry-platform/skerry/internal/etcd"
	"github.com/skerry-platform/skerry/internal/vcluster/pki"
)

// Server is a running etcd. Its folder holds ca.crt, ca.key, root.crt and root.key, as
// the chart mounts them into the operator.
type Server struct {
	Endpoint string
	Dir      string

	t         testing.TB
	authority *pki.Authority
}

// Start starts an etcd that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	authority, err := pki.NewAuthority("etcd", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, Dir: t.TempDir(), authority: authority}
	s.write("ca.crt", authority.Cert)
	s.write("ca.key", authority.Key)
	s.issue("root", pki.Request{CommonName: etcd.RootUser, Usage: x509.ExtKeyUsageClientAuth})
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	crt, key := s.issue("server", pki.Request{IPs: loopback, Usage: x509.ExtKeyUsageServerAuth})

	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(s.Dir, "data")
	cfg.LogLevel = "fatal"
	cfg.EnableGRPCGateway = false
	cfg.UnsafeNoFsync = true
	cfg.ListenPeerUrls = nil // it is alone
	cfg.ListenClientUrls = []url.URL{{Scheme: "https", Host: "127.0.0.1:0"}}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ClientTLSInfo = transport.TLSInfo{CertFile: crt, KeyFile: key, TrustedCAFile: filepath.Join(s.Dir, "ca.crt"), ClientCertAuth: true}
	running, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Close)
	<-running.Server.ReadyNotify()
	s.Endpoint = "https://" + running.Clients[0].Addr().String()
	return s
}

func (s *Server) write(name string, data []byte) string {
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *Server) issue(file string, req pki.Request) (crt, key string) {
	pair, err := s.authority.Issue(req, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return s.write(file+".crt", pair.Cert), s.write(file+".key", pair.Key)
}

// Admin is one more operator process, as root.
func (s *Server) Admin() *etcd.Admin {
	s.t.Helper()
	a, err := etcd.New(etcd.Config{
		Endpoints: []string{s.Endpoint}, CAFile: filepath.Join(s.Dir, "ca.crt"),
		CertFile: filepath.Join(s.Dir, "root.crt"), KeyFile: filepath.Join(s.Dir, "root.key"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = a.Close() })
	return a
}

// As is a plain client whose certificate names the user.
func (s *Server) As(user string) *clientv3.Client {
	s.t.Helper()
	crt, key := s.issue(user, pki.Request{CommonName: user, Usage: x509.ExtKeyUsageClientAuth})
	conf, err := transport.TLSInfo{TrustedCAFile: filepath.Join(s.Dir, "ca.crt"), CertFile: crt, KeyFile: key}.ClientConfig()
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Endpoint}, TLS: conf, Logger: zap.NewNop()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}
