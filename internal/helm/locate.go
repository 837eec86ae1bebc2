// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

// sourceKind says how a chart is fetched.
type sourceKind string

const (
	sourceCatalog    sourceKind = "catalog"    // built in
	sourceRepository sourceKind = "repository" // http(s) with an index.yaml
	sourceArchive    sourceKind = "archive"    // http(s), the .tgz itself
	sourceOCI        sourceKind = "oci"        // a registry
)

// chartSource is where a chart is taken from.
type chartSource struct {
	Kind sourceKind
	// URL of the repository, of the archive, or of the chart in a registry; empty for
	// the catalog.
	URL string
	// Name and Version (exact, a range, or empty for the newest) of the chart; both
	// empty for an archive.
	Name, Version string
	// Shown is the address as the person knows it, for messages.
	Shown string
}

// archiveName is the file name that "helm package" gives a chart: NAME-VERSION.tgz
// with a semantic version.
var archiveName = regexp.MustCompile(`^(.+?)-v?(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+_-]*)?)\.tgz$`)

// locate finds out where the chart is taken from. Errors are of type *refusal.
func locate(chart helmv1beta1.ChartSpec, mirrors map[string]string, allowed []string) (chartSource, error) {
	address, field := chart.Repository, "spec.forProvider.chart.repository"
	if chart.URL != "" {
		address, field = chart.URL, "spec.forProvider.chart.url"
	}
	switch {
	case address == "":
		return chartSource{}, refusef("%s is empty: name a chart repository, or a package in spec.forProvider.chart.url", field)
	case chart.URL == "" && chart.Name == "":
		return chartSource{}, refusef("spec.forProvider.chart.name is empty: name the chart to take from %s", address)
	}
	clean, err := cleanAddress(address)
	if err != nil {
		return chartSource{}, refusef("%s: %v", field, err)
	}
	target, mirrored := mirror(clean, mirrors)
	if !mirrored && !isAllowed(clean, allowed) {
		return chartSource{}, refusef("%s: the platform does not allow charts from %s; it allows %s",
			field, clean, strings.Join(allowed, ", "))
	}
	src, err := sourceAt(target, chart)
	if err != nil {
		return chartSource{}, refusef("%s: %v", field, err)
	}
	src.Shown = clean
	if mirrored {
		src.Shown = fmt.Sprintf("%s (which the platform serves from %s)", clean, target)
	}
	return src, nil
}

// sourceAt reads the scheme of an address.
func sourceAt(address string, chart helmv1beta1.ChartSpec) (chartSource, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	src := chartSource{URL: address, Name: chart.Name, Version: chart.Version}
	switch {
	case scheme == "catalog":
		src.Kind, src.URL = sourceCatalog, ""
		if chart.URL == "" {
			return src, nil
		}
		file := rest[strings.LastIndexByte(rest, '/')+1:]
		m := archiveName.FindStringSubmatch(file)
		if m == nil {
			return chartSource{}, fmt.Errorf("the catalog has no package %q: name a file NAME-VERSION.tgz", file)
		}
		src.Name, src.Version = m[1], m[2]
	case scheme == "oci":
		src.Kind = sourceOCI
		if chart.URL == "" {
			src.URL = address + "/" + chart.Name
		}
	case chart.URL != "":
		src.Kind, src.Name, src.Version = sourceArchive, "", ""
	default:
		src.Kind = sourceRepository
	}
	return src, nil
}

// cleanAddress writes an address in one way: lower-case scheme and host, no slash at
// the end. Credentials in it are refused, because it appears in messages.
func cleanAddress(address string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return "", fmt.Errorf("it is no URL; write it as https://HOST/PATH")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch u.Scheme {
	case "http", "https", "oci":
		if u.Host == "" {
			return "", fmt.Errorf("the address %q names no host", u.Redacted())
		}
	case "catalog":
		return CatalogURL, nil
	default:
		return "", fmt.Errorf("addresses of charts begin with https://, http://, oci:// or %s", CatalogURL)
	}
	if u.User != nil {
		return "", fmt.Errorf("credentials do not belong in an address: put them in a Secret and name it in chart.pullSecretRef")
	}
	u.Fragment = ""
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u.String(), nil
}

// mirror replaces the longest beginning of the address that the table knows.
func mirror(address string, mirrors map[string]string) (target string, found bool) {
	longest := -1
	target = address
	for from, to := range mirrors {
		from = strings.TrimRight(from, "/")
		if len(from) <= longest || !hasPathPrefix(address, from) {
			continue
		}
		longest, found = len(from), true
		target = joinAddress(to, address[len(from):])
	}
	return target, found
}

// joinAddress appends the rest of a path to a mirror's address.
func joinAddress(to, rest string) string {
	if strings.HasSuffix(to, "://") {
		return to + strings.TrimPrefix(rest, "/")
	}
	return strings.TrimRight(to, "/") + rest
}

// isAllowed reports whether the address begins with one of the allowed ones.
func isAllowed(address string, allowed []string) bool {
	if len(allowed) == 0 || address == CatalogURL {
		return true
	}
	for _, a := range allowed {
		if hasPathPrefix(address, strings.TrimRight(a, "/")) {
			return true
		}
	}
	return false
}

// hasPathPrefix is strings.HasPrefix that matches whole path segments only.
func hasPathPrefix(address, prefix string) bool {
	rest, ok := strings.CutPrefix(address, prefix)
	return ok && prefix != "" && (rest == "" || rest[0] == '/')
}
