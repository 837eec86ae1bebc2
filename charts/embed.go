// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package charts embeds the install chart, so that the CLI can install it and a
// virtual cluster's control plane can serve its CRDs, without a file beside the binary.
package charts

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed all:skerry
var files embed.FS

// Skerry is the install chart, rooted at the folder that holds Chart.yaml.
func Skerry() (fs.FS, error) { return fs.Sub(files, "skerry") }

// CRDs returns the CustomResourceDefinitions (YAML, one a document) of the given API
// groups, or of all groups when none is given.
func CRDs(groups ...string) ([][]byte, error) {
	const dir = "skerry/crds"
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading embedded CRDs: %w", err)
	}
	var out [][]byte
	for _, e := range entries {
		group, _, _ := strings.Cut(e.Name(), "_")
		if len(groups) > 0 && !slices.Contains(groups, group) {
			continue
		}
		data, err := files.ReadFile(dir + "/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading embedded CRD %s: %w", e.Name(), err)
		}
		out = append(out, data)
	}
	return out, nil
}
