// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSourcesOfTheRelease(t *testing.T) {
	list := `# the archive
deb [arch=amd64 signed-by=/k.gpg] http://deb.example/debian bookworm main contrib
deb-src http://deb.example/debian bookworm main
deb http://deb.example/debian bookworm-updates main
deb http://other.example/debian cloud-bookworm main
deb http://deb.example/debian trixie main
`
	want := []string{
		"deb [arch=amd64 signed-by=/k.gpg] http://deb.example/debian bookworm main contrib",
		"deb http://deb.example/debian bookworm-updates main",
	}
	if diff := cmp.Diff(want, oneLine(list, "bookworm")); diff != "" {
		t.Errorf("one-line style (-want +got):\n%s", diff)
	}
	sources := `Types: deb deb-src
URIs: http://deb.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: https://third.example/x
Suites: nodistro
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main
`
	want = []string{
		"deb [signed-by=/usr/share/keyrings/debian.gpg] http://deb.example/debian bookworm main",
		"deb [signed-by=/usr/share/keyrings/debian.gpg] http://deb.example/debian bookworm-updates main",
	}
	if diff := cmp.Diff(want, stanzas(sources, "bookworm")); diff != "" {
		t.Errorf("deb822 style (-want +got):\n%s", diff)
	}
}

func TestFilterTar(t *testing.T) {
	var in, out bytes.Buffer
	archive := tar.NewWriter(&in)
	for _, h := range []tar.Header{
		{Name: "./usr/bin/git", Typeflag: tar.TypeReg, Mode: 0o755, Size: 1},
		{Name: "./usr/share/doc/git/copyright", Typeflag: tar.TypeReg, Mode: 0o644, Size: 1},
		{Name: "./usr/share/doc-base", Typeflag: tar.TypeReg, Mode: 0o644, Size: 1},
		{Name: "./usr/bin/perl", Typeflag: tar.TypeReg, Mode: 0o755, Size: 1},
		{Name: "./usr/bin/perl5.36.0", Typeflag: tar.TypeLink, Linkname: "./usr/bin/perl", Mode: 0o755},
	} {
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			archive.Write([]byte("x"))
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := filterTar(&out, &in, append(droppedAlways, "usr/bin/perl")); err != nil {
		t.Fatal(err)
	}
	want := []string{"./usr/bin/git 755 0", "./usr/share/doc-base 644 0"}
	if diff := cmp.Diff(want, names(t, &out)); diff != "" {
		t.Errorf("a hard link to a dropped file goes with it (-want +got):\n%s", diff)
	}
}

// No text that somebody wrote into /etc/apt may stop the reader, and nothing of another
// release gets through.
func FuzzSources(f *testing.F) {
	f.Add("deb [a=b] http://x bookworm main")
	f.Add("deb [a=b http://x bookworm main")
	f.Add("Types: deb\nSuites: bookworm\nURIs: x")
	f.Fuzz(func(t *testing.T, text string) {
		for _, line := range append(oneLine(text, "bookworm"), stanzas(text, "bookworm")...) {
			if !strings.Contains(line, "bookworm") {
				t.Errorf("%q of %q", line, text)
			}
		}
	})
}
