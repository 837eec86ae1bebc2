// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// Patience is how long Eventually waits: long enough for a loaded machine.
	Patience = time.Minute

	retryInterval = 20 * time.Millisecond
)

// Namespace creates a namespace with a unique name and returns the name. Its deletion
// begins with the end of the test.
func (e *Env) Namespace(t testing.TB) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := e.Client.Create(t.Context(), ns); err != nil {
		t.Fatalf("creating a namespace for the test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		_ = e.Client.Delete(ctx, ns)
	})
	return ns.Name
}

// Eventually retries until check returns nil, and fails the test with the last error
// when that takes longer than Patience.
func Eventually(t testing.TB, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil { // else it only says that time is up
			last = err
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			t.Fatalf("not so after %s: %v", Patience, last)
		}
	}
}

// Always checks again and again for the given time, and fails the test with the first error.
// For what must not happen.
func Always(t testing.TB, during time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	for {
		if err := check(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			return
		}
	}
}
