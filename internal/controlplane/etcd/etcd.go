// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package etcd runs an etcd server inside the process: the store of all virtual
// control planes (StatefulSet skerry-etcd), of the local platform's host cluster, and of tests. It
// is what station 4 of docs/flow.md (vcluster) keeps its state in.
package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// Defaults of a server for many tenants.
const (
	// QuotaBytes is the largest database that etcd itself recommends.
	QuotaBytes = 8 << 30
	// CompactionInterval is Kubernetes' own. etcd compacts, because a tenant's API
	// server must not: it may only write below its own prefix, and the key that
	// API servers agree on (compact_rev_key) is outside.
	CompactionInterval = 5 * time.Minute
	// MaxTxnOps lets a new tenant's store be filled in one transaction, see package
	// template. etcd's own limit is 128.
	MaxTxnOps = 1024

	startTimeout = time.Minute
)

// TLS of the client listener. Clients must present a certificate of ClientCAFile.
type TLS struct {
	CertFile, KeyFile, ClientCAFile string
}

// Config of one server without peers.
type Config struct {
	Name    string
	DataDir string
	// ListenClient is the URL to serve on, https when TLS is set. Port 0 is any free port.
	ListenClient string
	// AdvertiseClient is the URL that clients are told. Default: where it listens.
	AdvertiseClient string
	// ListenMetrics is the http URL of /metrics and /health. Empty: none.
	ListenMetrics string
	TLS           *TLS
	// UnsafeNoFsync trades durability for speed; for tests only.
	UnsafeNoFsync bool
}

// Server is a running etcd.
type Server struct {
	etcd     *embed.Etcd
	endpoint string
}

// Start returns when the server is ready to serve, or with an error that names what
// is wrong with the configuration.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	ec, err := embedConfig(cfg)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("creating etcd's data directory: %w", err)
	}
	e, err := embed.StartEtcd(ec)
	if err != nil {
		return nil, fmt.Errorf("starting etcd on %s: %w", cfg.ListenClient, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		e.Close()
		return nil, fmt.Errorf("starting etcd: %w", err)
	case <-ctx.Done():
		e.Close()
		return nil, fmt.Errorf("waiting for etcd to elect itself: %w", ctx.Err())
	}
	endpoint := url.URL{Scheme: ec.ListenClientUrls[0].Scheme, Host: e.Clients[0].Addr().String()}
	return &Server{etcd: e, endpoint: endpoint.String()}, nil
}

func embedConfig(cfg Config) (*embed.Config, error) {
	listen, err := url.Parse(cfg.ListenClient)
	if err != nil {
		return nil, fmt.Errorf("parsing etcd's listen URL: %w", err)
	}
	if (listen.Scheme == "https") != (cfg.TLS != nil) {
		return nil, fmt.Errorf("etcd's listen URL %s needs https with certificates, or http without", cfg.ListenClient)
	}
	ec := embed.NewConfig()
	ec.Name = cfg.Name
	ec.Dir = cfg.DataDir
	ec.LogLevel = "error"
	ec.ListenClientUrls = []url.URL{*listen}
	ec.AdvertiseClientUrls = ec.ListenClientUrls
	if cfg.AdvertiseClient != "" {
		advertise, err := url.Parse(cfg.AdvertiseClient)
		if err != nil {
			return nil, fmt.Errorf("parsing etcd's advertised URL: %w", err)
		}
		ec.AdvertiseClientUrls = []url.URL{*advertise}
	}
	ec.ListenPeerUrls = nil // it is alone
	ec.InitialCluster = ec.InitialClusterFromName(ec.Name)
	ec.QuotaBackendBytes = QuotaBytes
	ec.AutoCompactionMode = embed.CompactorModePeriodic
	ec.AutoCompactionRetention = CompactionInterval.String()
	ec.UnsafeNoFsync = cfg.UnsafeNoFsync
	ec.MaxTxnOps = MaxTxnOps
	if cfg.ListenMetrics != "" {
		metrics, err := url.Parse(cfg.ListenMetrics)
		if err != nil {
			return nil, fmt.Errorf("parsing etcd's metrics URL: %w", err)
		}
		ec.ListenMetricsUrls = []url.URL{*metrics}
	}
	if cfg.TLS != nil {
		ec.ClientTLSInfo.CertFile = cfg.TLS.CertFile
		ec.ClientTLSInfo.KeyFile = cfg.TLS.KeyFile
		ec.ClientTLSInfo.TrustedCAFile = cfg.TLS.ClientCAFile
		ec.ClientTLSInfo.ClientCertAuth = true
	}
	return ec, nil
}

// Endpoint is the URL for clients on this machine.
func (s *Server) Endpoint() string { return s.endpoint }

// Err reports a failure after the start.
func (s *Server) Err() <-chan error { return s.etcd.Err() }

// Stop ends the server after its last write is on disk.
func (s *Server) Stop() { s.etcd.Close() }

// ClientTLS is the TLS configuration of a client that identifies itself with a
// certificate; all values are PEM.
func ClientTLS(ca, cert, key []byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("loading the etcd client certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("loading the etcd CA: no certificate in it")
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
