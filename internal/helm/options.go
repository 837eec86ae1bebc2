// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"io/fs"
	"maps"
	"time"

	"github.com/skerry-platform/skerry/catalog"
)

// CatalogURL is the repository address of the charts that are built in.
const CatalogURL = "catalog://"

// Options configure the Release engine; the zero value is usable.
type Options struct {
	// Concurrency is how many Releases are worked on at once, a quarter of them of one virtual cluster at
	// most; 0 means 16.
	Concurrency int
	// Mirrors maps repository addresses, or beginnings of them that end at a path
	// segment, to where their charts are taken from instead. It is added to
	// DefaultMirrors and wins over them.
	Mirrors map[string]string
	// AllowedRepositories are the addresses, or beginnings of them, that a tenant may
	// name; empty allows all. What Mirrors lead to, and the catalog, are always allowed.
	AllowedRepositories []string
	// Catalog is served as CatalogURL: one folder a chart. Nil means the built-in catalog.
	Catalog fs.FS
	// CatalogImageRegistry is where the catalog's charts take their images from by
	// default, as REGISTRY[/PATH]; empty leaves it to the charts (docker.io).
	CatalogImageRegistry string
	// FetchTimeout bounds one download; 0 means 30 s.
	FetchTimeout time.Duration
}

// DefaultMirrors leads the addresses that definitions in the wild name to the
// built-in catalog: Bitnami's free catalogue is gone since August 2025.
func DefaultMirrors() map[string]string {
	return map[string]string{
		"https://charts.bitnami.com/bitnami": CatalogURL,
		"https://charts.skerry.dev/catalog":  CatalogURL,
	}
}

// withDefaults fills what was left empty.
func (o Options) withDefaults() Options {
	if o.Concurrency == 0 {
		o.Concurrency = 16
	}
	mirrors := DefaultMirrors()
	maps.Copy(mirrors, o.Mirrors)
	o.Mirrors = mirrors
	if o.Catalog == nil {
		o.Catalog = catalog.Charts()
	}
	if o.FetchTimeout == 0 {
		o.FetchTimeout = 30 * time.Second
	}
	return o
}
