// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// What was written is waited for, however far the cache is behind.
func TestOwnReadsWhatItWrote(t *testing.T) {
	env := testenv.Start(t, testenv.WithScheme(v1alpha1.AddToScheme))
	vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "behind"}, Spec: v1alpha1.VirtualClusterSpec{Placement: v1alpha1.PlacementShared}}
	if err := env.Client.Create(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	events := &gate{}
	config := rest.CopyConfig(env.Config)
	config.Wrap(events.wrap)
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: env.Scheme, Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	own, err := status.Own(mgr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	defer func() {
		events.open()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	key := client.ObjectKeyFromObject(vc)
	if err := own.Get(t.Context(), key, vc); err != nil {
		t.Fatal(err)
	}

	events.close()
	before := vc.DeepCopy()
	status.Set(&vc.Status.Conditions, 1, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "Reason", "")
	if err := status.Patch(t.Context(), own, vc, before); err != nil {
		t.Fatal(err)
	}
	now := &v1alpha1.VirtualCluster{}
	if err := mgr.GetClient().Get(t.Context(), key, now); err != nil || status.IsTrue(now.Status.Conditions, v1alpha1.ConditionPrepared) {
		t.Fatalf("the cache is not behind (error %v)", err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := own.Get(soon, key, now); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v and conditions %v while the cache is behind, want to wait", err, now.Status.Conditions)
	}
	events.open()
	if err := own.Get(t.Context(), key, now); err != nil || !status.IsTrue(now.Status.Conditions, v1alpha1.ConditionPrepared) {
		t.Errorf("got error %v and conditions %v, want Prepared", err, now.Status.Conditions)
	}
}

// gate holds the events of watches back while it is closed.
type gate struct{ mu sync.RWMutex }

func (g *gate) close() { g.mu.Lock() }

func (g *gate) open() {
	g.mu.TryLock() // it may be open
	g.mu.Unlock()
}

func (g *gate) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err == nil && r.URL.Query().Get("watch") != "" {
			resp.Body = held{resp.Body, g}
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// held is a body whose content comes through a gate.
type held struct {
	io.ReadCloser
	gate *gate
}

func (h held) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.gate.mu.RLock()
	defer h.gate.mu.RUnlock()
	return n, err
}
