// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/skerry-platform/skerry/test/platform"
)

var created sync.Once

// environment is the one that the measurements share. Whoever needs it first makes it, and so
// measures the main job.
func environment(t *testing.T) string {
	t.Helper()
	const name = "bench"
	created.Do(func() {
		begun := time.Now()
		platform.Skerry(t, "create", name, "--language", "go", "--database", "postgres", "--cache", "redis", "--wait", "--timeout", "5m")
		took := time.Since(begun)
		platform.Skerry(t, "verify", name)
		row("ApplicationClaim -> application answers from its PostgreSQL and Redis, images present", round(took), "`skerry create --wait`, then `skerry verify`")
		fmt.Println(platform.Skerry(t, "timing", name))
	})
	return name
}

// TestRequestToAnswer measures the main job.
func TestRequestToAnswer(t *testing.T) { environment(t) }
