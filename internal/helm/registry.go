// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"helm.sh/helm/v4/pkg/registry"
)

// fromRegistry pulls a chart from an OCI registry. An exact version is pulled without asking for the
// list of versions: registries limit how often they may be asked.
func (c *charts) fromRegistry(src chartSource, cred credentials, installed string) (*chartPackage, error) {
	ref := strings.TrimPrefix(src.URL, "oci://")
	if i := strings.LastIndexByte(ref, ':'); src.Version == "" && i > strings.LastIndexByte(ref, '/') {
		ref, src.Version = ref[:i], ref[i+1:]
	}
	client, err := c.registryClient(cred)
	if err != nil {
		return nil, fmt.Errorf("preparing a client for %s: %w", src.URL, err)
	}
	pull := func(version string) (*chartPackage, error) {
		return c.cache.packageAt(cacheKey(cred, "oci://"+ref, version), false, time.Now(), func() (*chartPackage, error) {
			result, err := client.Pull(ref + ":" + strings.ReplaceAll(version, "+", "_"))
			if err != nil {
				return nil, fmt.Errorf("pulling %s version %s: %w", src.URL, version, err)
			}
			return packageFromArchive(result.Chart.Data)
		})
	}
	version := src.Version
	if _, err := semver.StrictNewVersion(version); err == nil {
		pkg, err := pull(version)
		if err == nil {
			return pkg, nil
		}
		// Perhaps there is no such version: then the list says which there are.
		if version, lerr := c.pickTag(client, src, ref, cred, installed, justRead); lerr != nil || version == src.Version {
			return nil, firstRefusal(lerr, err)
		}
	}
	if version, err = c.pickTag(client, src, ref, cred, installed, indexLifetime); isRefusal(err) {
		version, err = c.pickTag(client, src, ref, cred, installed, justRead)
	}
	if err != nil {
		return nil, err
	}
	return pull(version)
}

// pickTag chooses among the versions in a list that is not older than age.
func (c *charts) pickTag(client *registry.Client, src chartSource, ref string, cred credentials, installed string, age time.Duration) (string, error) {
	index, err := c.cache.indexAt(cacheKey(cred, "oci://"+ref), time.Now(), age, func() (repositoryIndex, error) {
		tags, err := client.Tags(ref)
		if err != nil {
			return nil, fmt.Errorf("listing the versions of %s: %w", src.URL, err)
		}
		versions := map[string]indexEntry{}
		for _, tag := range tags {
			versions[tag] = indexEntry{}
		}
		return repositoryIndex{src.URL: versions}, nil
	})
	if err != nil {
		return "", err
	}
	tags := keys(index[src.URL])
	version, ok := pickVersion(tags, src.Version, installed)
	if !ok {
		return "", noSuchVersion(src, tags)
	}
	return version, nil
}

// firstRefusal is the error that says what to do, if one does, and the other if not.
func firstRefusal(a, b error) error {
	if isRefusal(a) {
		return a
	}
	return b
}

// registryClient uses the Release's credentials and the same HTTP client as for
// repositories, with its time limit, and reads no more of an answer than a package may have.
func (c *charts) registryClient(cred credentials) (*registry.Client, error) {
	httpClient := *c.secure
	if cred.InsecureSkipTLSVerify {
		httpClient = *c.lax
	}
	httpClient.Transport = &limitedTransport{next: httpClient.Transport}
	opts := []registry.ClientOption{
		registry.ClientOptHTTPClient(&httpClient),
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

// limitedTransport cuts every answer off after mostPackage bytes: Helm's client holds what it pulls in
// memory, and a tenant names the registry.
type limitedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l *limitedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > mostPackage {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the registry's answer has %d MiB; a chart may have %d", resp.ContentLength>>20, mostPackage>>20)
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, mostPackage)
	return resp, nil
}
