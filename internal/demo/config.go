// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"net"
)

// Prefixes of the variables that the service bindings set.
const (
	databasePrefix = "DATABASE"
	cachePrefix    = "CACHE"
)

// Binding is one bound service: the keys of a binding Secret (the names of the
// Service Binding specification).
type Binding struct {
	Host, Port, Username, Password, Database string
}

// Config is everything that the service is told. A nil Binding is a store that the
// application does not have.
type Config struct {
	Database *Binding
	Cache    *Binding
	// Pod is shown with each answer.
	Pod string
}

// FromEnv reads DATABASE_HOST, _PORT, _USERNAME, _PASSWORD, _DATABASE, the same names with
// CACHE_, and HOSTNAME, through getenv (os.Getenv).
func FromEnv(getenv func(string) string) Config {
	return Config{
		Database: binding(getenv, databasePrefix, "5432"),
		Cache:    binding(getenv, cachePrefix, "6379"),
		Pod:      getenv("HOSTNAME"),
	}
}

func binding(getenv func(string) string, prefix, port string) *Binding {
	b := &Binding{
		Host: getenv(prefix + "_HOST"), Port: getenv(prefix + "_PORT"),
		Username: getenv(prefix + "_USERNAME"), Password: getenv(prefix + "_PASSWORD"),
		Database: getenv(prefix + "_DATABASE"),
	}
	if b.Host == "" {
		return nil
	}
	if b.Port == "" {
		b.Port = port
	}
	return b
}

func (b Binding) address() string { return net.JoinHostPort(b.Host, b.Port) }

// missing is the store that an application does not have; its value is the prefix of
// the variables that would name it.
type missing string

func (m missing) roundtrip(context.Context, string) Result {
	return Result{Error: string(m) + "_HOST is not set: the application has no such binding"}
}

func (missing) ping(context.Context) error { return nil }
func (missing) close()                     {}
