// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package requeue

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// However long something was away, it is asked again within Last, and success makes the
// next failure's wait short again.
func TestTheWaitStaysShort(t *testing.T) {
	limiter, object := Limiter(), reconcile.Request{}
	previous := time.Duration(0)
	for failure := range 40 {
		wait := limiter.When(object)
		if wait < previous || wait > Last {
			t.Fatalf("failure %d waits %s after %s; want it to grow to at most %s", failure, wait, previous, Last)
		}
		previous = wait
	}
	if previous != Last {
		t.Errorf("the longest wait is %s, want %s", previous, Last)
	}
	limiter.Forget(object)
	if wait := limiter.When(object); wait != First {
		t.Errorf("after a success the first wait is %s, want %s", wait, First)
	}
}
