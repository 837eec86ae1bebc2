// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package requeue says how long the operator's controllers wait before they look again at an
// object whose reconcile failed. What a watch can tell needs no retry; this is for what only
// asking can tell: whether a Git server, an etcd or a virtual cluster answers again.
package requeue

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// First and Last bound the wait after a failure, which doubles from one to the other.
// controller-runtime's own limiter goes up to 1,000 seconds: a service that was away for a
// minute would be found again a minute or more after it came back.
const (
	First = 50 * time.Millisecond
	Last  = 5 * time.Second
)

// Limiter is for controller.Options.RateLimiter. Each controller needs one of its own.
func Limiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](First, Last)
}
