// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tells the whole story on a real local platform: one file a chapter. The
// stories run one after another and share an environment where they leave it as it was.
package e2e

import (
	"os"
	"testing"

	"github.com/skerry-platform/skerry/test/platform"
)

func TestMain(m *testing.M) { os.Exit(platform.Main(m, "e2e")) }
