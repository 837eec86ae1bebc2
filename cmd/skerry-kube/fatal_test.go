// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"k8s.io/klog/v2"
)

// The fatal error of one tenant's API server leaves the process, and with it the other tenants,
// alive: only the goroutine that met it ends, with its deferred calls.
func TestAFatalErrorEndsItsGoroutineOnly(t *testing.T) {
	before := klog.OsExit
	t.Cleanup(func() { klog.OsExit = before })
	containFatal()
	ended := make(chan string, 2)
	go func() {
		defer func() { ended <- "deferred" }()
		klog.Fatal("a start hook failed")
		ended <- "went on"
	}()
	select {
	case how := <-ended:
		if how != "deferred" {
			t.Errorf("the goroutine %s", how)
		}
	case <-time.After(time.Minute):
		t.Error("the goroutine hangs")
	}
}
