// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
)

// archiveOf packs the chart "tiny" of a version as "helm package" does.
func archiveOf(t *testing.T, version, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, data := range map[string]string{
		"tiny/Chart.yaml":         "apiVersion: v2\nname: tiny\nversion: " + version + "\n",
		"tiny/templates/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {text: " + text + "}\n",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// server is a chart repository; requests counts what it was asked for.
type server struct {
	*httptest.Server
	files    map[string][]byte
	password string
	requests atomic.Int32
}

func newServer(t *testing.T, password string) *server {
	t.Helper()
	s := &server{files: map[string][]byte{}, password: password}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if _, got, _ := r.BasicAuth(); got != s.password {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		data, ok := s.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(s.Close)
	return s
}

// serve adds a version with its true digest, unless another is given.
func (s *server) serve(version string, data []byte, digest string) {
	if digest == "" {
		sum := sha256.Sum256(data)
		digest = hex.EncodeToString(sum[:])
	}
	s.files["/tiny-"+version+".tgz"] = data
	index := string(s.files["/index.yaml"])
	if index == "" {
		index = "apiVersion: v1\nentries:\n  tiny:\n"
	}
	s.files["/index.yaml"] = []byte(index + fmt.Sprintf("  - {name: tiny, version: %s, digest: %s, urls: [tiny-%s.tgz]}\n", version, digest, version))
}

func noCatalog(t *testing.T) *charts {
	t.Helper()
	c, err := newCharts(fstest.MapFS{}, "", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRepository(t *testing.T) {
	s := newServer(t, "")
	s.serve("1.0.0", archiveOf(t, "1.0.0", "one"), "")
	s.serve("1.1.0", archiveOf(t, "1.1.0", "two"), "")
	s.serve("1.2.0", archiveOf(t, "1.2.0", "three"), strings.Repeat("f", 64))
	s.files["/direct.tgz"] = archiveOf(t, "7.0.0", "direct")
	c := noCatalog(t)
	from := func(name, version string) chartSource {
		return chartSource{Kind: sourceRepository, URL: s.URL, Name: name, Version: version, Shown: s.URL}
	}
	cases := map[string]struct {
		src     chartSource
		version string
		err     string
		refused bool
	}{
		"exact":        {src: from("tiny", "1.0.0"), version: "1.0.0"},
		"range":        {src: from("tiny", "<1.2"), version: "1.1.0"},
		"no version":   {src: from("tiny", "3.0.0"), err: "the versions there are: 1.2.0, 1.1.0, 1.0.0", refused: true},
		"no chart":     {src: from("huge", ""), err: "the charts there are: tiny", refused: true},
		"wrong digest": {src: from("tiny", "1.2.0"), err: "but the repository's index says fff"},
		"direct":       {src: chartSource{Kind: sourceArchive, URL: s.URL + "/direct.tgz"}, version: "7.0.0"},
		"not found":    {src: chartSource{Kind: sourceArchive, URL: s.URL + "/none.tgz"}, err: "404"},
		"no archive":   {src: chartSource{Kind: sourceArchive, URL: s.URL + "/index.yaml"}, err: "chart package"},
	}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			pkg, err := c.Fetch(t.Context(), want.src, credentials{}, "")
			if want.err != "" {
				if err == nil || !strings.Contains(err.Error(), want.err) || isRefusal(err) != want.refused {
					t.Fatalf("got error %v (refusal: %t), want %q (%t)", err, isRefusal(err), want.err, want.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if pkg.Version != want.version {
				t.Errorf("got version %s, want %s", pkg.Version, want.version)
			}
		})
	}
}

// What is fetched once is not fetched again, and what is fetched with credentials is not
// given to those who have none.
func TestChartCache(t *testing.T) {
	s := newServer(t, "pw")
	s.serve("1.0.0", archiveOf(t, "1.0.0", "private"), "")
	c := noCatalog(t)
	src := chartSource{Kind: sourceRepository, URL: s.URL, Name: "tiny", Version: "1.0.0", Shown: s.URL}
	for range 3 {
		if _, err := c.Fetch(t.Context(), src, credentials{Username: "me", Password: "pw"}, ""); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.requests.Load(); n != 2 {
		t.Errorf("%d requests for one chart, want 2 (index and package)", n)
	}
	if _, err := c.Fetch(t.Context(), src, credentials{}, ""); err == nil {
		t.Error("without credentials the private chart came from the cache")
	}
}

// Two sources whose files have one name never get each other's chart.
func TestChartCacheByContent(t *testing.T) {
	c := noCatalog(t)
	digests := map[string]bool{}
	for _, text := range []string{"one", "two"} {
		s := newServer(t, "")
		s.serve("1.0.0", archiveOf(t, "1.0.0", text), "")
		pkg, err := c.Fetch(t.Context(), chartSource{Kind: sourceRepository, URL: s.URL, Name: "tiny", Version: "1.0.0"}, credentials{}, "")
		if err != nil {
			t.Fatal(err)
		}
		digests[pkg.Digest] = true
	}
	if len(digests) != 2 {
		t.Error("the second repository gave the first one's chart")
	}
}

// Old packages make room.
func TestChartCacheIsBounded(t *testing.T) {
	c := newChartCache()
	for i := range 5 {
		pkg := &chartPackage{Digest: fmt.Sprint(i)}
		pkg.files = append(pkg.files, bigFile(mostCached/3))
		c.keep(fmt.Sprint(i), pkg, time.Time{})
	}
	if c.bytes > mostCached || c.lookup("0", time.Now()) != nil || c.lookup("4", time.Now()) == nil {
		t.Errorf("%d bytes are kept, the first: %t, the last: %t", c.bytes, c.lookup("0", time.Now()) != nil, c.lookup("4", time.Now()) != nil)
	}
	if len(c.digests) != c.recent.Len() {
		t.Errorf("%d addresses lead to %d packages", len(c.digests), c.recent.Len())
	}
}

// A tenant's repository is not asked for a cloud's machine credentials, however its
// name resolves.
func TestLinkLocalIsRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	_, err := noCatalog(t).download(ctx, "http://169.254.169.254/latest/meta-data", credentials{}, mostIndex)
	if err == nil || !strings.Contains(err.Error(), "link-local") {
		t.Errorf("got %v", err)
	}
}

// A repository that sends without end is cut off.
func TestDownloadIsBounded(t *testing.T) {
	s := newServer(t, "")
	s.files["/big"] = make([]byte, 1<<20+1)
	if _, err := noCatalog(t).download(t.Context(), s.URL+"/big", credentials{}, 1<<20); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func bigFile(size int) *archive.BufferedFile {
	return &archive.BufferedFile{Name: "x", Data: make([]byte, size)}
}

// A version that is published after the index was read is found, and an address whose content changed is
// believed for a time only.
func TestWhatIsPublishedLaterIsFound(t *testing.T) {
	s := newServer(t, "")
	s.serve("1.0.0", archiveOf(t, "1.0.0", "one"), "")
	s.files["/latest.tgz"] = archiveOf(t, "1.0.0", "one")
	c := noCatalog(t)
	src := chartSource{Kind: sourceRepository, URL: s.URL, Name: "tiny", Version: "1.0.0", Shown: s.URL}
	latest := chartSource{Kind: sourceArchive, URL: s.URL + "/latest.tgz"}
	for _, source := range []chartSource{src, latest} {
		if _, err := c.Fetch(t.Context(), source, credentials{}, ""); err != nil {
			t.Fatal(err)
		}
	}
	s.serve("2.0.0", archiveOf(t, "2.0.0", "two"), "")
	s.files["/latest.tgz"] = archiveOf(t, "2.0.0", "two")
	c.cache.age(time.Minute)
	src.Version = "2.0.0"
	if _, err := c.Fetch(t.Context(), src, credentials{}, ""); err != nil {
		t.Errorf("a version that was published a minute ago: %v", err)
	}
	c.cache.age(indexLifetime)
	if pkg, err := c.Fetch(t.Context(), latest, credentials{}, ""); err != nil || pkg.Version != "2.0.0" {
		t.Errorf("the address leads to the old package still: %v", err)
	}
}

// age makes everything in the cache older.
func (c *chartCache) age(by time.Duration) {
	for key, entry := range c.indexes {
		entry.read = entry.read.Add(-by)
		c.indexes[key] = entry
	}
	for key, at := range c.digests {
		if !at.read.IsZero() {
			at.read = at.read.Add(-by)
			c.digests[key] = at
		}
	}
}
