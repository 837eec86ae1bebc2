// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"testing"

	"github.com/skerry-platform/skerry/catalog"
)

// Every chart of the catalog follows the platform's registry, as another content: what is
// installed is upgraded. Otherwise it has the chart's own.
func TestTheCatalogFollowsTheImageRegistry(t *testing.T) {
	const mirror = "registry.example.com/mirror"
	usual, err := newCharts(catalog.Charts(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	mirrored, err := newCharts(catalog.Charts(), mirror, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name := range usual.catalog {
		before, err := usual.fromCatalog(chartSource{Name: name}, "")
		if err != nil {
			t.Fatal(err)
		}
		after, err := mirrored.fromCatalog(chartSource{Name: name}, "")
		if err != nil {
			t.Fatal(err)
		}
		if before.Digest == after.Digest {
			t.Errorf("chart %s has the same digest with another registry", name)
		}
		for want, pkg := range map[string]*chartPackage{"docker.io": before, mirror: after} {
			chart, err := pkg.Load()
			if err != nil {
				t.Fatal(err)
			}
			image, _ := chart.Values["image"].(map[string]any)
			if image["registry"] != want {
				t.Errorf("chart %s takes its image from %v, want %s", name, image["registry"], want)
			}
		}
	}
}
