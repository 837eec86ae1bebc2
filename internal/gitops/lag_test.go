// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// slowWatches stands between the engine and the cluster, and can hold back what the engine's watches are told.
type slowWatches struct {
	next http.RoundTripper

	mu    sync.Mutex
	held  chan struct{} // nil: nothing is held back
	begun int
}

// behindSlowWatches puts it there.
func (w *world) behindSlowWatches() *slowWatches {
	w.t.Helper()
	next, err := rest.TransportFor(w.dest.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	host, err := url.Parse(w.dest.Config.Host)
	if err != nil {
		w.t.Fatal(err)
	}
	s := &slowWatches{next: next}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Transport: s, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(host) },
	})
	w.t.Cleanup(func() {
		s.release()
		w.stopEngine() // its watches would keep the server open
		server.Close()
	})
	w.clusterAt(server.URL)
	return s
}

func (s *slowWatches) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = make(chan struct{})
}

func (s *slowWatches) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		close(s.held)
	}
	s.held = nil
}

// awaitOne waits until the engine watches through here.
func (s *slowWatches) awaitOne(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.begun == 0 {
			return errors.New("the engine does not watch yet")
		}
		return nil
	})
}

// pass waits until nothing is held back.
func (s *slowWatches) pass() {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held != nil {
		<-held
	}
}

// RoundTrip implements http.RoundTripper. Only watches, and the lists that they begin with, have a selector.
func (s *slowWatches) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Get("labelSelector") == "" {
		return s.next.RoundTrip(r)
	}
	s.mu.Lock()
	s.begun++
	s.mu.Unlock()
	s.pass()
	response, err := s.next.RoundTrip(r)
	if err == nil {
		response.Body = &slowBody{ReadCloser: response.Body, pass: s.pass}
	}
	return response, err
}

type slowBody struct {
	io.ReadCloser
	pass func()
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.pass()
	return n, err
}

// An object leaves Git before the watch has told that it was applied. It is not forgotten.
func TestRemovedBeforeTheWatchHasSeenIt(t *testing.T) {
	w := newWorld(t, true)
	watches := w.behindSlowWatches()
	first := w.push(map[string]string{path + "/a.yaml": configMap("a", "one")})
	w.deliver()
	w.awaitSynced(first)
	watches.awaitOne(t)
	watches.hold()
	second := w.push(map[string]string{path + "/b.yaml": configMap("b", "one")})
	w.await(func(app *argov1alpha1.Application) error {
		if s := app.Status; s.Sync.Revision != second || s.OperationState.Phase != argov1alpha1.OperationSucceeded {
			return errors.New("b should be delivered")
		}
		return nil
	})
	w.awaitValue("b", "one")
	w.push(map[string]string{path + "/b.yaml": ""})
	w.awaitValue("b", "")
}

// Somebody changes an object after it was applied and before it is watched. It is put back.
func TestChangedBeforeTheWatchBegins(t *testing.T) {
	w := twoClusters(t) // the end of another test's objects would have the engine look
	watches := w.behindSlowWatches()
	watches.hold()
	first := w.push(map[string]string{path + "/a.yaml": configMap("a", "one")})
	w.deliver()
	w.await(func(app *argov1alpha1.Application) error {
		if s := app.Status; s.Sync.Revision != first || s.OperationState.Phase != argov1alpha1.OperationSucceeded {
			return errors.New("a should be delivered")
		}
		return nil
	})
	watches.awaitOne(t)
	cm := &corev1.ConfigMap{}
	if err := w.dest.Client.Get(t.Context(), client.ObjectKey{Namespace: w.target, Name: "a"}, cm); err != nil {
		t.Fatal(err)
	}
	cm.Data["value"] = "by hand"
	if err := w.dest.Client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	watches.release()
	w.awaitValue("a", "one")
}
