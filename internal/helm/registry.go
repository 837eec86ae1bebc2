// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"io"
	"strings"

	"helm.sh/helm/v4/pkg/registry"
)

// fromRegistry pulls a chart from an OCI registry.
func (c *charts) fromRegistry(src chartSource, cred credentials, installed string) (*chartPackage, error) {
	client, err := c.registryClient(cred)
	if err != nil {
		return nil, fmt.Errorf("preparing a client for %s: %w", src.URL, err)
	}
	ref := strings.TrimPrefix(src.URL, "oci://")
	if i := strings.LastIndexByte(ref, ':'); src.Version == "" && i > strings.LastIndexByte(ref, '/') {
		ref, src.Version = ref[:i], ref[i+1:]
	}
	tags, err := client.Tags(ref)
	if err != nil {
		return nil, fmt.Errorf("listing the versions of %s: %w", src.URL, err)
	}
	version, ok := pickVersion(tags, src.Version, installed)
	if !ok {
		return nil, noSuchVersion(src, tags)
	}
	return c.cache.packageAt(cacheKey(cred, src.URL, version), func() (*chartPackage, error) {
		result, err := client.Pull(ref + ":" + strings.ReplaceAll(version, "+", "_"))
		if err != nil {
			return nil, fmt.Errorf("pulling %s: %w", src.URL, err)
		}
		return packageFromArchive(result.Chart.Data)
	})
}

// registryClient uses the Release's credentials and the same HTTP client as for
// repositories, with its time limit.
func (c *charts) registryClient(cred credentials) (*registry.Client, error) {
	httpClient := c.secure
	if cred.InsecureSkipTLSVerify {
		httpClient = c.lax
	}
	opts := []registry.ClientOption{
		registry.ClientOptHTTPClient(httpClient),
		registry.ClientOptWriter(io.Discard),
		registry.ClientOptEnableCache(true),
	}
	if cred.Username != "" {
		opts = append(opts, registry.ClientOptBasicAuth(cred.Username, cred.Password))
	}
	if cred.PlainHTTP {
		opts = append(opts, registry.ClientOptPlainHTTP())
	}
	return registry.NewClient(opts...)
}
