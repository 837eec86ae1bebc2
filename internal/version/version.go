// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version holds the version of this build. Every program, image tag and
// chart of one build carries the same one.
package version

// Version is set by the linker: -X github.com/skerry-platform/skerry/internal/version.Version=1.2.3
var Version = "0.1.0-dev"
