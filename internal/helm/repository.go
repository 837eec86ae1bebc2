// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"helm.sh/helm/v4/pkg/repo/v1"
	"sigs.k8s.io/yaml"
)

// Limits on what a repository may send: a tenant names it, so it may be anybody's.
const (
	mostIndex   = 64 << 20
	mostPackage = 16 << 20
)

// repositoryIndex is the part of an index.yaml that is used: chart name, version.
type repositoryIndex map[string]map[string]indexEntry

// indexEntry is one version of a chart.
type indexEntry struct {
	URL    string // of the package, absolute
	Digest string // SHA-256 in hexadecimal digits; may be empty
}

// fromRepository finds a chart in a repository's index and downloads its package. What is missing in
// an index that was read some time ago may have been published since: it is read again.
func (c *charts) fromRepository(ctx context.Context, src chartSource, cred credentials, installed string) (*chartPackage, error) {
	entry, err := c.findEntry(ctx, src, cred, installed, indexLifetime)
	if isRefusal(err) {
		entry, err = c.findEntry(ctx, src, cred, installed, justRead)
	}
	if err != nil {
		return nil, err
	}
	return c.cache.packageAt(cacheKey(cred, entry.URL, entry.Digest), entry.Digest != "", time.Now(), func() (*chartPackage, error) {
		return c.fetchEntry(ctx, src, entry, cred)
	})
}

// findEntry looks a chart up in an index that is not older than age.
func (c *charts) findEntry(ctx context.Context, src chartSource, cred credentials, installed string, age time.Duration) (indexEntry, error) {
	index, err := c.cache.indexAt(cacheKey(cred, src.URL), time.Now(), age, func() (repositoryIndex, error) {
		return c.readIndex(ctx, src.URL, cred)
	})
	if err != nil {
		return indexEntry{}, err
	}
	versions, ok := index[src.Name]
	if !ok {
		return indexEntry{}, noSuchChart(src, keys(index))
	}
	version, ok := pickVersion(keys(versions), src.Version, installed)
	if !ok {
		return indexEntry{}, noSuchVersion(src, keys(versions))
	}
	return versions[version], nil
}

// fetchEntry downloads a package and compares it with the index.
func (c *charts) fetchEntry(ctx context.Context, src chartSource, entry indexEntry, cred credentials) (*chartPackage, error) {
	if !sameHost(src.URL, entry.URL) {
		cred.Username, cred.Password = "", ""
	}
	data, err := c.download(ctx, entry.URL, cred, mostPackage)
	if err != nil {
		return nil, err
	}
	pkg, err := packageFromArchive(data)
	if err != nil {
		return nil, fmt.Errorf("chart %s from %s: %w", src.Name, entry.URL, err)
	}
	if want := strings.TrimPrefix(entry.Digest, "sha256:"); want != "" && pkg.Digest != "sha256:"+want {
		return nil, fmt.Errorf("chart %s from %s: its content has digest %s, but the repository's index says %s",
			src.Name, entry.URL, pkg.Digest, want)
	}
	return pkg, nil
}

// readIndex downloads and reads index.yaml.
func (c *charts) readIndex(ctx context.Context, address string, cred credentials) (repositoryIndex, error) {
	data, err := c.download(ctx, address+"/index.yaml", cred, mostIndex)
	if err != nil {
		return nil, err
	}
	var file repo.IndexFile
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s/index.yaml is no index of a chart repository: %w", address, err)
	}
	index := repositoryIndex{}
	for name, versions := range file.Entries {
		index[name] = map[string]indexEntry{}
		for _, v := range versions {
			if v == nil || v.Metadata == nil || len(v.URLs) == 0 {
				continue
			}
			target, err := repo.ResolveReferenceURL(address, v.URLs[0])
			if err != nil {
				continue
			}
			index[name][v.Version] = indexEntry{URL: target, Digest: v.Digest}
		}
	}
	return index, nil
}

// download reads at most limit bytes from an address.
func (c *charts) download(ctx context.Context, address string, cred credentials, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", address, err)
	}
	req.Header.Set("User-Agent", "skerry-operator")
	if cred.Username != "" || cred.Password != "" {
		req.SetBasicAuth(cred.Username, cred.Password)
	}
	client := c.secure
	if cred.InsecureSkipTLSVerify {
		client = c.lax
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("downloading %s: the server answers %s", address, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", address, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("downloading %s: it is larger than %d MiB", address, limit>>20)
	}
	return data, nil
}

// sameHost reports whether two addresses lead to one host and port, so that
// credentials for one may be sent to the other.
func sameHost(a, b string) bool {
	first, err := url.Parse(a)
	if err != nil {
		return false
	}
	second, err := url.Parse(b)
	return err == nil && first.Scheme == second.Scheme && first.Host == second.Host
}

// newHTTPClient never connects to link-local addresses: that is where clouds answer with
// a machine's credentials, and tenants choose the address.
func newHTTPClient(timeout time.Duration, insecure bool) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: refuseLinkLocal}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			IdleConnTimeout:     time.Minute,
			ForceAttemptHTTP2:   true,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure},
		},
	}
}

// refuseLinkLocal is a net.Dialer.Control.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip != nil && (ip.IsLinkLocalUnicast() || ip.IsUnspecified()) {
		return fmt.Errorf("charts are not fetched from the link-local address %s", ip)
	}
	return nil
}
