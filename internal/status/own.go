// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"

	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Own returns the client with which a reconciler reads and writes the kind that it reconciles. It reads from
// the manager's cache, and waits until that has what was written with the same client.
//
// A reconciler that leaves out the events of its own writes needs it: run again before the cache has its last
// status, it would take the one before for what is written, find nothing to write, and not be woken by
// what comes late. Other kinds are not for this client: what is written with it is held in the cache.
func Own(mgr ctrl.Manager) (client.Client, error) {
	c, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(),
		Scheme:     mgr.GetScheme(),
		Mapper:     mgr.GetRESTMapper(),
		Cache:      &client.CacheOptions{Reader: mgr.GetCache(), EnableReadYourWritesConsistency: ptr.To(true)},
	})
	if err != nil {
		return nil, fmt.Errorf("making a client that reads what it wrote: %w", err)
	}
	return c, nil
}
