// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package image has the container images of the platform: it builds them from
// our own programs and from Debian's packages, pushes them to a registry for any cluster,
// and, for the local platform, pulls the official ones where a
// registry answers, and imports them into the node's containerd. It prepares what
// stations 4, 6, 8 and 9 of docs/flow.md run.
//
// Nothing is built or imported twice: each image has a key over all that goes into it,
// and the cache folder remembers under which digest that key was built.
package image

import "github.com/skerry-platform/skerry/internal/version"

// Names of the images that are made here, each with the version of this build.
func Skerry() string { return own("skerry") }
func Pause() string  { return own("pause") }
func Demo() string   { return own("demo") }
func Git() string    { return own("git") }

func own(name string) string { return "skerry.dev/" + name + ":" + version.Version }

// Official images that the charts name. They keep their names also when they are built
// from packages; the label LabelBuiltFrom tells.
const (
	Postgres = "docker.io/library/postgres:15"
	Redis    = "docker.io/library/redis:7.0"
)

// LabelBuiltFrom, on an image that has an official image's name, is "debian" when it
// was built here from Debian's packages.
const LabelBuiltFrom = "dev.skerry.built-from"
