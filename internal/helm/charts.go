// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

// credentials for a repository; both empty for none. Fetching with them is kept apart in
// the cache from fetching without.
type credentials struct {
	Username, Password    string
	InsecureSkipTLSVerify bool
	PlainHTTP             bool
}

// charts finds and fetches charts.
type charts struct {
	catalog map[string]map[string]*chartPackage // name, version
	secure  *http.Client
	lax     *http.Client // does not verify certificates
	cache   *chartCache
}

// newCharts reads the catalog, which must hold no broken chart. imageRegistry is
// Options.CatalogImageRegistry.
func newCharts(catalog fs.FS, imageRegistry string, timeout time.Duration) (*charts, error) {
	c := &charts{
		catalog: map[string]map[string]*chartPackage{},
		secure:  newHTTPClient(timeout, false),
		lax:     newHTTPClient(timeout, true),
		cache:   newChartCache(),
	}
	folders, err := fs.ReadDir(catalog, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		sub, err := fs.Sub(catalog, folder.Name())
		if err != nil {
			return nil, fmt.Errorf("reading the catalog: %w", err)
		}
		pkg, err := packageFromFS(sub, imageRegistry)
		if err != nil {
			return nil, fmt.Errorf("reading chart %s of the catalog: %w", folder.Name(), err)
		}
		if c.catalog[pkg.Name] == nil {
			c.catalog[pkg.Name] = map[string]*chartPackage{}
		}
		c.catalog[pkg.Name][pkg.Version] = pkg
	}
	return c, nil
}

// Fetch returns the chart of a source. installed is the version that is installed, or
// empty: it stays when the source wants no particular one. A chart or version that is
// not there is a *refusal; what may pass by itself is any other error.
func (c *charts) Fetch(ctx context.Context, src chartSource, cred credentials, installed string) (*chartPackage, error) {
	switch src.Kind {
	case sourceCatalog:
		return c.fromCatalog(src, installed)
	case sourceOCI:
		return c.fromRegistry(src, cred, installed)
	case sourceArchive:
		return c.fromArchive(ctx, src, cred)
	default:
		return c.fromRepository(ctx, src, cred, installed)
	}
}

// fromCatalog finds a built-in chart.
func (c *charts) fromCatalog(src chartSource, installed string) (*chartPackage, error) {
	versions, ok := c.catalog[src.Name]
	if !ok {
		return nil, noSuchChart(src, keys(c.catalog))
	}
	version, ok := pickVersion(keys(versions), src.Version, installed)
	if !ok {
		return nil, noSuchVersion(src, keys(versions))
	}
	return versions[version], nil
}

// fromArchive downloads a package by its own address.
func (c *charts) fromArchive(ctx context.Context, src chartSource, cred credentials) (*chartPackage, error) {
	return c.cache.packageAt(cacheKey(cred, src.URL), false, time.Now(), func() (*chartPackage, error) {
		data, err := c.download(ctx, src.URL, cred, mostPackage)
		if err != nil {
			return nil, err
		}
		return packageFromArchive(data)
	})
}

// cacheKey tells apart what is fetched with other credentials: one tenant's private
// chart is never another's. The credentials themselves are not kept.
func cacheKey(cred credentials, parts ...string) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %t %t", cred.Username, cred.Password, cred.InsecureSkipTLSVerify, cred.PlainHTTP)
	return hex.EncodeToString(sum.Sum(nil)) + " " + strings.Join(parts, " ")
}

// keys of a map, in no order.
func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	return names
}
