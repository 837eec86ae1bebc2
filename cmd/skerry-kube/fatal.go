// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"

	"k8s.io/klog/v2"
)

// containFatal keeps the error of one tenant from ending all: an API server calls klog.Fatal when one of
// its start hooks fails, for example because etcd was away for too long. Here that ends the
// hook's goroutine. The tenant then does not become ready in time, and is started again.
func containFatal() {
	klog.OsExit = func(int) { runtime.Goexit() }
}
