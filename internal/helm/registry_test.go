// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	"helm.sh/helm/v4/pkg/registry"
)

// ociServer is a registry with charts; requests counts what it was asked for.
type ociServer struct {
	host     string
	requests atomic.Int32
	client   *registry.Client
}

func newOCIServer(t *testing.T) *ociServer {
	t.Helper()
	s := &ociServer{}
	next := ociregistry.New(ociregistry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	var err error
	if s.client, err = registry.NewClient(registry.ClientOptPlainHTTP()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *ociServer) push(t *testing.T, version, text string) {
	t.Helper()
	if _, err := s.client.Push(archiveOf(t, version, text), s.host+"/acme/tiny:"+version); err != nil {
		t.Fatal(err)
	}
}

func (s *ociServer) source(version string) chartSource {
	return chartSource{Kind: sourceOCI, URL: "oci://" + s.host + "/acme/tiny", Name: "tiny", Version: version, Shown: "oci://" + s.host + "/acme"}
}

// Charts of a registry are found by version and by range, and what is not there is told with what is.
func TestRegistry(t *testing.T) {
	s := newOCIServer(t)
	s.push(t, "1.0.0", "one")
	s.push(t, "1.1.0", "two")
	plain := credentials{PlainHTTP: true}
	for name, want := range map[string]struct{ version, got, err string }{
		"exact":  {version: "1.0.0", got: "1.0.0"},
		"range":  {version: "^1.0", got: "1.1.0"},
		"newest": {got: "1.1.0"},
		"none":   {version: "3.0.0", err: "the versions there are: 1.1.0, 1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			pkg, err := noCatalog(t).Fetch(t.Context(), s.source(want.version), plain, "")
			switch {
			case want.err != "" && (!isRefusal(err) || !strings.Contains(err.Error(), want.err)):
				t.Errorf("error %v, want a refusal with %q", err, want.err)
			case want.err == "" && err != nil:
				t.Fatal(err)
			case want.err == "" && pkg.Version != want.got:
				t.Errorf("version %s, want %s", pkg.Version, want.got)
			}
		})
	}
}

// A Release is looked at after every change of its Pods: that asks the registry nothing. A version that is
// published later is found nevertheless.
func TestRegistryIsNotAskedAgain(t *testing.T) {
	s := newOCIServer(t)
	s.push(t, "1.0.0", "one")
	plain := credentials{PlainHTTP: true}
	c := noCatalog(t)
	for _, version := range []string{"1.0.0", "^1.0"} {
		if _, err := c.Fetch(t.Context(), s.source(version), plain, ""); err != nil {
			t.Fatal(err)
		}
		before := s.requests.Load()
		for range 3 {
			if _, err := c.Fetch(t.Context(), s.source(version), plain, ""); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.requests.Load() - before; n > 0 {
			t.Errorf("version %q: %d requests for what is known", version, n)
		}
	}
	s.push(t, "2.0.0", "two")
	if pkg, err := c.Fetch(t.Context(), s.source("2.0.0"), plain, ""); err != nil || pkg.Version != "2.0.0" {
		t.Errorf("the version that was published later: %v", err)
	}
}

// What a registry sends is bounded, whether or not it says how long it is.
func TestRegistryAnswersAreBounded(t *testing.T) {
	for name, length := range map[string]string{"announced": "33554432", "not announced": ""} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_, _ = w.Write(make([]byte, 2*mostPackage))
			}))
			t.Cleanup(server.Close)
			client := http.Client{Transport: &limitedTransport{next: http.DefaultTransport}}
			resp, err := client.Get(server.URL)
			if err == nil {
				_, err = resp.Body.Read(make([]byte, 1))
				for err == nil {
					_, err = resp.Body.Read(make([]byte, 1<<20))
				}
				resp.Body.Close()
			}
			if err == nil || err.Error() == "EOF" {
				t.Error("all of it was read")
			}
		})
	}
}
