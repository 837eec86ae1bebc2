// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

func TestLocate(t *testing.T) {
	mirrors := DefaultMirrors()
	mirrors["https://charts.example.org"] = "https://mirror.internal/example/"
	mirrors["https://charts.example.org/special"] = "oci://registry.internal/special"
	cases := map[string]struct {
		reason  string
		chart   helmv1beta1.ChartSpec
		allowed []string
		want    chartSource
		err     string
	}{
		"seed": {
			reason: "the address in everybody's definitions leads to the catalog",
			chart:  helmv1beta1.ChartSpec{Repository: "https://charts.bitnami.com/bitnami", Name: "postgresql", Version: "13.2.24"},
			want:   chartSource{Kind: sourceCatalog, Name: "postgresql", Version: "13.2.24"},
		},
		"written otherwise": {
			reason: "case and a slash at the end do not matter",
			chart:  helmv1beta1.ChartSpec{Repository: "HTTPS://Charts.Bitnami.com/bitnami/", Name: "redis"},
			want:   chartSource{Kind: sourceCatalog, Name: "redis"},
		},
		"package of a mirrored repository": {
			reason: "so does a direct address below it",
			chart:  helmv1beta1.ChartSpec{URL: "https://charts.bitnami.com/bitnami/postgresql-13.2.24.tgz"},
			want:   chartSource{Kind: sourceCatalog, Name: "postgresql", Version: "13.2.24"},
		},
		"no whole segment": {
			reason: "a mirror matches whole segments of the path",
			chart:  helmv1beta1.ChartSpec{Repository: "https://charts.bitnami.com/bitnami-full-index", Name: "redis"},
			want:   chartSource{Kind: sourceRepository, URL: "https://charts.bitnami.com/bitnami-full-index", Name: "redis"},
		},
		"mirror below": {
			reason: "the rest of the path is kept",
			chart:  helmv1beta1.ChartSpec{Repository: "https://charts.example.org/stable", Name: "web"},
			want:   chartSource{Kind: sourceRepository, URL: "https://mirror.internal/example/stable", Name: "web"},
		},
		"longest mirror": {
			reason: "the longest beginning wins",
			chart:  helmv1beta1.ChartSpec{Repository: "https://charts.example.org/special", Name: "web", Version: "1"},
			want:   chartSource{Kind: sourceOCI, URL: "oci://registry.internal/special/web", Name: "web", Version: "1"},
		},
		"archive": {
			reason: "a direct address is no repository",
			chart:  helmv1beta1.ChartSpec{URL: "https://example.com/web-1.tgz", Name: "ignored", Version: "2"},
			want:   chartSource{Kind: sourceArchive, URL: "https://example.com/web-1.tgz"},
		},
		"oci url": {
			reason: "a chart in a registry may be named whole",
			chart:  helmv1beta1.ChartSpec{URL: "oci://ghcr.io/acme/web:1.0.0"},
			want:   chartSource{Kind: sourceOCI, URL: "oci://ghcr.io/acme/web:1.0.0"},
		},
		"allowed": {
			reason:  "the list is of beginnings",
			chart:   helmv1beta1.ChartSpec{Repository: "https://good.example/charts", Name: "web"},
			allowed: []string{"https://good.example/"},
			want:    chartSource{Kind: sourceRepository, URL: "https://good.example/charts", Name: "web"},
		},
		"not allowed": {
			reason:  "a tenant may not name just anything",
			chart:   helmv1beta1.ChartSpec{Repository: "https://good.example.evil/charts", Name: "web"},
			allowed: []string{"https://good.example"},
			err:     "does not allow charts from https://good.example.evil/charts",
		},
		"mirrored is allowed": {
			reason:  "where a mirror leads is the platform's choice",
			chart:   helmv1beta1.ChartSpec{Repository: "https://charts.bitnami.com/bitnami", Name: "redis"},
			allowed: []string{"https://good.example"},
			want:    chartSource{Kind: sourceCatalog, Name: "redis"},
		},
		"nothing":        {reason: "a source is needed", err: "spec.forProvider.chart.repository is empty"},
		"no name":        {reason: "and a chart", chart: helmv1beta1.ChartSpec{Repository: "https://x.example"}, err: "spec.forProvider.chart.name is empty"},
		"credentials":    {reason: "they would appear in messages", chart: helmv1beta1.ChartSpec{Repository: "https://me:secret@x.example", Name: "web"}, err: "credentials do not belong"},
		"file":           {reason: "the operator's files are nobody's chart", chart: helmv1beta1.ChartSpec{URL: "file:///etc/passwd"}, err: "begin with https://"},
		"no host":        {reason: "an address has a host", chart: helmv1beta1.ChartSpec{Repository: "https:///charts", Name: "web"}, err: "names no host"},
		"catalog no tgz": {reason: "packages of the catalog have the usual name", chart: helmv1beta1.ChartSpec{URL: "https://charts.bitnami.com/bitnami/web"}, err: "NAME-VERSION.tgz"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := locate(c.chart, mirrors, c.allowed)
			if c.err != "" {
				if err == nil || !isRefusal(err) || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%s: got error %v, want a refusal with %q", c.reason, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got.Shown = ""
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// FuzzLocate: whatever is written, the answer is a refusal or a source that is allowed and
// names no credentials and no file.
func FuzzLocate(f *testing.F) {
	f.Add("https://charts.bitnami.com/bitnami", "postgresql", "13.2.24", "")
	f.Add("", "", "", "oci://ghcr.io/acme/web:1.0.0")
	f.Add("https://a:b@c/d?e#f", "x", "", "")
	f.Add("catalog://../../etc", "x", "", "")
	f.Fuzz(func(t *testing.T, repository, name, version, url string) {
		chart := helmv1beta1.ChartSpec{Repository: repository, Name: name, Version: version, URL: url}
		src, err := locate(chart, DefaultMirrors(), []string{"https://good.example/charts"})
		if err != nil {
			if !isRefusal(err) {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		if src.Kind == sourceCatalog {
			return
		}
		if !strings.HasPrefix(src.URL, "https://good.example/charts") {
			t.Errorf("%+v is taken from %s", chart, src.URL)
		}
	})
}

func TestPickVersion(t *testing.T) {
	have := []string{"1.0.0", "1.2.0", "1.10.0", "2.0.0-beta.1", "v3", "not-a-version"}
	for _, c := range []struct{ want, installed, picked string }{
		{"1.2.0", "", "1.2.0"},
		{"not-a-version", "", "not-a-version"},
		{"", "", "v3"},
		{"", "1.2.0", "1.2.0"},
		{"", "0.9.0", "v3"},
		{"^1", "1.0.0", "1.10.0"},
		{"~1.2", "", "1.2.0"},
		{">=2.0.0-0 <3", "", "2.0.0-beta.1"},
		{"9.9.9", "", ""},
		{"no range", "", ""},
	} {
		got, ok := pickVersion(have, c.want, c.installed)
		if got != c.picked || ok != (c.picked != "") {
			t.Errorf("pickVersion(%q, installed %q) = %q, %t; want %q", c.want, c.installed, got, ok, c.picked)
		}
	}
}
