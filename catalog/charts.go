// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"embed"
	"io/fs"
)

//go:embed all:charts
var charts embed.FS

// Charts holds the charts of the catalog, one folder a chart, as
// "<name>/Chart.yaml". internal/helm serves them as the repository catalog://.
func Charts() fs.FS {
	sub, err := fs.Sub(charts, "charts")
	if err != nil {
		// Only an invalid path makes it fail, and the path is a constant.
		panic(err)
	}
	return sub
}
