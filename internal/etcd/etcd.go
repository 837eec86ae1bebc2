// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package etcd administers the etcd that holds the state of every virtual cluster: it
// turns authentication on, and gives each tenant a user that can reach its own key
// prefix and nothing else. It belongs to station 4 (vcluster) of docs/flow.md.
//
// Users have no password: etcd takes the common name of the verified client
// certificate as the user
// (https://etcd.io/docs/v3.6/op-guide/authentication/authentication/#using-tls-common-name).
package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// RootUser is the user (and role) that may administer etcd: the common name of the
// operator's client certificate.
const RootUser = "root"

// Config says how to reach etcd as its administrator.
type Config struct {
	// Endpoints are URLs, https://host:2379.
	Endpoints []string
	// CAFile verifies etcd; CertFile and KeyFile hold the client certificate whose
	// common name is RootUser. All PEM. Certificate and key are read again on each new
	// connection, the CA only once.
	CAFile, CertFile, KeyFile string
	// Timeout of one call, that is of every step of a method. Default 5 s.
	Timeout time.Duration
}

// Admin administers one etcd cluster. It is safe for concurrent use.
type Admin struct {
	client  *clientv3.Client
	timeout time.Duration

	mu          sync.Mutex
	authEnabled bool // seen enabled by this process
}

// New makes an Admin. It does not dial: an etcd that is down shows in the first call.
func New(cfg Config) (*Admin, error) {
	info := transport.TLSInfo{TrustedCAFile: cfg.CAFile, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile}
	var (
		conf *tls.Config
		err  error
	)
	if cfg.CAFile != "" {
		if conf, err = info.ClientConfig(); err != nil {
			return nil, fmt.Errorf("reading etcd's administrator certificate (%s, %s, %s): %w", cfg.CAFile, cfg.CertFile, cfg.KeyFile, err)
		}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            cfg.Endpoints,
		TLS:                  conf,
		DialKeepAliveTime:    20 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		Logger:               zap.NewNop(), // errors are returned; the caller logs them once
	})
	if err != nil {
		return nil, fmt.Errorf("configuring the etcd client for %v: %w", cfg.Endpoints, err)
	}
	return &Admin{client: client, timeout: cfg.Timeout}, nil
}

// Close ends the connections.
func (a *Admin) Close() error { return a.client.Close() }

// EnableAuth makes user and role root and turns authentication on. It may be called
// any number of times, at the same time by several processes, and goes on where a
// killed call stopped: until the last step everything is open to every client with a
// certificate, after it to none but root.
func (a *Admin) EnableAuth(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.authEnabled {
		return nil
	}
	status, err := call(ctx, a, a.client.AuthStatus)
	if err != nil {
		return fmt.Errorf("reading whether etcd has authentication enabled: %w", err)
	}
	if !status.Enabled {
		if err := a.bootstrapRoot(ctx); err != nil {
			return err
		}
	}
	a.authEnabled = true
	return nil
}

func (a *Admin) bootstrapRoot(ctx context.Context) error {
	if err := a.addRole(ctx, RootUser); err != nil {
		return err
	}
	if err := a.addUser(ctx, RootUser); err != nil {
		return err
	}
	if err := a.grantRole(ctx, RootUser, RootUser); err != nil {
		return err
	}
	if _, err := call(ctx, a, a.client.AuthEnable); err != nil {
		return fmt.Errorf("enabling authentication in etcd: %w", err)
	}
	return nil
}

// call gives one request the Admin's timeout.
func call[T any](ctx context.Context, a *Admin, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return do(ctx)
}

// ignore returns nil when err is one of the given etcd errors.
func ignore(err error, expected ...error) error {
	for _, e := range expected {
		if errors.Is(rpctypes.Error(err), e) {
			return nil
		}
	}
	return err
}
