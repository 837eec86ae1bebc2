// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/etcd/etcdtest"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard()) // each test's manager logs to its test
	testenv.Main(m)
}

// host is an API server and an etcd with this package's controllers running.
type host struct {
	*testenv.Env
	t      *testing.T
	etcd   *etcdtest.Server
	writes atomic.Int64 // requests of the controllers that were not reads
	counts string       // of which these count only, that name it; empty: all

	mu       sync.Mutex
	requests []string // the same, as METHOD PATH BODY
}

func startHost(t *testing.T) *host {
	t.Helper()
	h := startIdle(t)
	t.Cleanup(h.operate(t, -1))
	return h
}

// startIdle is a host without controllers, but for the one that lets namespaces go.
func startIdle(t *testing.T) *host {
	t.Helper()
	h := &host{Env: testenv.Start(t), t: t, etcd: etcdtest.Start(t)}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- finalizeNamespaces(ctx, h.Config) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("letting namespaces go: %v", err)
		}
	})
	return h
}

// operate runs the controllers until stop is called. After so many writes every further request
// fails, as if they had been killed; -1 is never.
func (h *host) operate(t *testing.T, writes int64) (stop func()) {
	t.Helper()
	config := rest.CopyConfig(h.Config)
	left := &atomic.Int64{}
	left.Store(writes)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet {
				if strings.Contains(h.record(r), h.counts) {
					h.writes.Add(1)
					left.Add(-1)
				}
				if writes >= 0 && left.Load() < 0 {
					return nil, errors.New("killed")
				}
			}
			return next.RoundTrip(r)
		})
	})
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: h.Scheme, Metrics: server.Options{BindAddress: "0"}, Logger: zap.New(zap.UseDevMode(true), zap.WriteTo(testWriter{t})),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = SetupWithManager(mgr, Options{Etcd: h.etcd.Admin(), EtcdTLSDir: h.etcd.Dir, DrainTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the cache did not fill")
	}
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopping: %v", err)
		}
	}
}

func (h *host) record(r *http.Request) string {
	var body []byte
	if r.GetBody != nil {
		if again, err := r.GetBody(); err == nil {
			body, _ = io.ReadAll(again)
		}
	}
	request := fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, request)
	return request
}

// written are the controllers' requests so far that name what is given.
func (h *host) written(name string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.requests), func(r string) bool { return !strings.Contains(r, name) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// testWriter sends the controllers' log to the test's, for -v and for failures.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Logf("%s", p)
	}
	return len(p), nil
}

// finalizeNamespaces lets namespaces go at once; the namespace controller does so when it has emptied them.
func finalizeNamespaces(ctx context.Context, config *rest.Config) error {
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		w, err := c.CoreV1().Namespaces().Watch(ctx, metav1.ListOptions{})
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return err
		}
		for e := range w.ResultChan() {
			ns, ok := e.Object.(*corev1.Namespace)
			if !ok || ns.DeletionTimestamp == nil || len(ns.Spec.Finalizers) == 0 {
				continue
			}
			ns.Spec.Finalizers = nil
			_, err := c.CoreV1().Namespaces().Finalize(ctx, ns, metav1.UpdateOptions{})
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// create makes a VirtualCluster that is deleted, whatever holds it, with the test.
func (h *host) create(vc *v1alpha1.VirtualCluster) {
	h.t.Helper()
	if err := h.Client.Create(h.t.Context(), vc); err != nil {
		h.t.Fatal(err)
	}
}

// condition waits until the condition has the status, and returns it.
func (h *host) condition(obj client.Object, conds func() []metav1.Condition, typ string, s metav1.ConditionStatus, reason string) metav1.Condition {
	h.t.Helper()
	var found metav1.Condition
	testenv.Eventually(h.t, func(ctx context.Context) error {
		if err := h.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		c := status.Get(conds(), typ)
		if c == nil || c.Status != s || (reason != "" && c.Reason != reason) {
			return fmt.Errorf("condition %s is %+v, want %s %s", typ, c, s, reason)
		}
		found = *c
		return nil
	})
	return found
}

func (h *host) clusterCondition(vc *v1alpha1.VirtualCluster, typ string, s metav1.ConditionStatus, reason string) metav1.Condition {
	h.t.Helper()
	return h.condition(vc, func() []metav1.Condition { return vc.Status.Conditions }, typ, s, reason)
}

func (h *host) namespaceCondition(vns *v1alpha1.VirtualNamespace, s metav1.ConditionStatus, reason string) metav1.Condition {
	h.t.Helper()
	return h.condition(vns, func() []metav1.Condition { return vns.Status.Conditions }, v1alpha1.ConditionReady, s, reason)
}

// gone waits until the object does not exist.
func (h *host) gone(obj client.Object) {
	h.t.Helper()
	testenv.Eventually(h.t, func(ctx context.Context) error {
		err := h.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		if err == nil {
			return fmt.Errorf("%s is still there", describe(obj))
		}
		return client.IgnoreNotFound(err)
	})
}

// change writes the object as the mutation leaves it, again when somebody else wrote first.
func (h *host) change(obj client.Object, mutate func()) {
	h.t.Helper()
	testenv.Eventually(h.t, func(ctx context.Context) error {
		if err := h.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		mutate()
		return h.Client.Update(ctx, obj)
	})
}

// changeStatus is change for the status.
func (h *host) changeStatus(obj client.Object, mutate func()) {
	h.t.Helper()
	testenv.Eventually(h.t, func(ctx context.Context) error {
		if err := h.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		mutate()
		return h.Client.Status().Update(ctx, obj)
	})
}
