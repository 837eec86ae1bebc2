// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package demo is a web service that writes a value to its PostgreSQL and its Redis,
// reads it back, and shows both on one page. It finds them only through the
// environment that the service bindings give it (see FromEnv), and works
// with either of them missing.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"time"
)

// requestTimeout bounds one round trip, so that a store that hangs becomes an answer.
const requestTimeout = 5 * time.Second

// Roundtrip is one value on its way through every store. It is the answer of
// GET /api/roundtrip.
type Roundtrip struct {
	Value    string    `json:"value"`
	Pod      string    `json:"pod"`
	Time     time.Time `json:"time"`
	Postgres Result    `json:"postgres"`
	Redis    Result    `json:"redis"`
}

// OK reports whether at least one store is configured and every configured one
// returned what was written.
func (r Roundtrip) OK() bool {
	some := r.Postgres.Configured || r.Redis.Configured
	return some && r.Postgres.ok() && r.Redis.ok()
}

// Result is what one store did with the value.
type Result struct {
	// Configured is false when the application has no such store; then Error says
	// which variable is missing.
	Configured bool `json:"configured"`
	// Host is host:port of the store.
	Host          string `json:"host,omitempty"`
	ServerVersion string `json:"server_version,omitempty"`
	Written       string `json:"written,omitempty"`
	Read          string `json:"read,omitempty"`
	Milliseconds  int64  `json:"milliseconds"`
	Error         string `json:"error,omitempty"`
}

func (r Result) ok() bool {
	return !r.Configured || (r.Error == "" && r.Written == r.Read)
}

// store writes a value, reads it back by a second request, and says where it is.
type store interface {
	roundtrip(ctx context.Context, value string) Result
	ping(ctx context.Context) error
	close()
}

// Service answers the requests. Close it when done.
type Service struct {
	postgres store
	redis    store
	pod      string
	// now is the clock.
	now func() time.Time
}

// New connects to nothing yet: each store is reached when the first request needs it.
func New(cfg Config) (*Service, error) {
	s := &Service{pod: cfg.Pod, now: time.Now}
	s.postgres, s.redis = missing(databasePrefix), missing(cachePrefix)
	if cfg.Database != nil {
		pg, err := newPostgres(*cfg.Database)
		if err != nil {
			return nil, err
		}
		s.postgres = pg
	}
	if cfg.Cache != nil {
		s.redis = newRedis(*cfg.Cache)
	}
	return s, nil
}

// Close ends the connections.
func (s *Service) Close() {
	s.postgres.close()
	s.redis.close()
}

// Handler serves the page at /, the JSON at /api/roundtrip, /healthz (the process
// lives) and /readyz (every configured store answers).
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /api/roundtrip", s.api)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.ready)
	return mux
}

// Run sends the value (a random one when empty) through every store at once.
func (s *Service) Run(ctx context.Context, value string) Roundtrip {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if value == "" {
		value = rand.Text()
	}
	out := Roundtrip{Value: value, Pod: s.pod, Time: s.now().UTC()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		out.Redis = timed(s.now, func() Result { return s.redis.roundtrip(ctx, value) })
	}()
	out.Postgres = timed(s.now, func() Result { return s.postgres.roundtrip(ctx, value) })
	<-done
	return out
}

func timed(now func() time.Time, f func() Result) Result {
	start := now()
	r := f()
	r.Milliseconds = now().Sub(start).Milliseconds()
	return r
}

func (s *Service) api(w http.ResponseWriter, r *http.Request) {
	const most = 1024
	value := r.URL.Query().Get("value")
	if len(value) > most {
		http.Error(w, "value: at most 1024 bytes", http.StatusBadRequest)
		return
	}
	out := s.Run(r.Context(), value)
	w.Header().Set("Content-Type", "application/json")
	if !out.OK() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(out)
}

func (s *Service) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	for _, st := range []store{s.postgres, s.redis} {
		if err := st.ping(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = w.Write([]byte("ok\n"))
}
