// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/skerry-platform/skerry/internal/controlplane/etcd"
	"github.com/skerry-platform/skerry/internal/controlplane/pki"
)

func TestAdmitsOnlyClientsWithACertificateAndKeepsItsData(t *testing.T) {
	dir := t.TempDir()
	ca, client, cfg := secureConfig(t, dir)
	server := start(t, &cfg)
	conf, err := etcd.ClientTLS(ca.Cert, client.Cert, client.Key)
	if err != nil {
		t.Fatal(err)
	}
	known := newClient(t, clientv3.Config{Endpoints: []string{server.Endpoint()}, TLS: conf})
	if _, err := known.Put(t.Context(), "/skerry/a", "kept"); err != nil {
		t.Fatalf("with a certificate: %v", err)
	}
	anonymousTLS := conf.Clone()
	anonymousTLS.Certificates = nil
	anonymous := newClient(t, clientv3.Config{Endpoints: []string{server.Endpoint()}, TLS: anonymousTLS})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := anonymous.Get(ctx, "/skerry/a"); err == nil {
		t.Error("it served a client without a certificate")
	}
	resp, err := http.Get(cfg.ListenMetrics + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), `"health":"true"`) {
		t.Errorf("/health says %s", body)
	}

	server.Stop()
	server = start(t, &cfg)
	defer server.Stop()
	again := newClient(t, clientv3.Config{Endpoints: []string{server.Endpoint()}, TLS: conf})
	got, err := again.Get(t.Context(), "/skerry/a")
	if err != nil || len(got.Kvs) != 1 {
		t.Errorf("after a restart: %v, %v", got, err)
	}
}

func TestRefusesPlainHTTPWithCertificates(t *testing.T) {
	_, _, cfg := secureConfig(t, t.TempDir())
	cfg.ListenClient = "http://127.0.0.1:0"
	if s, err := etcd.Start(t.Context(), cfg); err == nil {
		s.Stop()
		t.Error("it started")
	}
}

func secureConfig(t *testing.T, dir string) (*pki.CA, pki.Pair, etcd.Config) {
	t.Helper()
	ca, err := pki.NewCA("etcd")
	if err != nil {
		t.Fatal(err)
	}
	serving, err := ca.Serving("etcd", []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Client("root")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return ca, client, etcd.Config{
		Name: "test", DataDir: filepath.Join(dir, "data"), UnsafeNoFsync: true,
		ListenClient: "https://127.0.0.1:0",
		TLS:          &etcd.TLS{CertFile: write("crt", serving.Cert), KeyFile: write("key", serving.Key), ClientCAFile: write("ca", ca.Cert)},
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start chooses the address of the metrics, and another one when somebody else on this machine has taken it meanwhile.
func start(t *testing.T, cfg *etcd.Config) *etcd.Server {
	t.Helper()
	for attempt := 1; ; attempt++ {
		cfg.ListenMetrics = "http://" + freeAddress(t)
		s, err := etcd.Start(t.Context(), *cfg)
		if err == nil {
			return s
		}
		if attempt == 5 || !strings.Contains(err.Error(), "address already in use") {
			t.Fatal(err)
		}
	}
}

func newClient(t *testing.T, cfg clientv3.Config) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
