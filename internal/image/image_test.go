// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/skerry-platform/skerry/internal/image/registrytest"
)

func sample(t *testing.T) v1.Image {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!"), 0o755); err != nil {
		t.Fatal(err)
	}
	layer, err := layerOf([]entry{
		{path: "usr/local/bin/program", mode: 0o755, source: program},
		{path: "etc/passwd", mode: 0o644, content: []byte("root:x:0:0\n")},
		{path: "data", mode: 0o700, uid: 999},
		{path: "bin", link: "usr/bin", mode: 0o777},
	})
	if err != nil {
		t.Fatal(err)
	}
	img, err := assemble(v1.Config{User: "999"}, layer)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// checkImage verifies the image's documents and that each layer is what its digest
// says. (The full check of package validate takes every layer for a packed one.)
func checkImage(t *testing.T, img v1.Image) {
	t.Helper()
	if err := validate.Image(img, validate.Fast); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		want, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		content, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		if got, _, err := v1.SHA256(content); err != nil || got != want {
			t.Errorf("layer %s has the content %s (%v)", want, got, err)
		}
	}
}

func TestImageIsValidAndSpeaksOfThisProcessor(t *testing.T) {
	img := sample(t)
	checkImage(t, img)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture == "" || config.Config.User != "999" {
		t.Errorf("configuration is %+v", config)
	}
}

func TestSameInputGivesTheSameImage(t *testing.T) {
	a, err := sample(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	b, err := sample(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Errorf("digests are %s and %s: an unchanged image would be imported again", a, b)
	}
}

func TestFoldersComeBeforeWhatIsInThem(t *testing.T) {
	var out bytes.Buffer
	if err := writeEntries(&out, []entry{{path: "a/b/c", mode: 0o600, content: []byte{}}, {path: "a/d", mode: 0o700, uid: 5}}); err != nil {
		t.Fatal(err)
	}
	want := []string{"a/ 755 0", "a/b/ 755 0", "a/b/c 600 0", "a/d/ 700 5"}
	if diff := cmp.Diff(want, names(t, &out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The archive is what containerd reads; go-containerregistry reads it as well as any.
func TestArchiveIsAnImageLayout(t *testing.T) {
	img := sample(t)
	var archive bytes.Buffer
	if err := writeArchive(&archive, "skerry.dev/x:1", img); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, &archive, dir)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest.Manifests[0].Annotations[annotationName]; got != "skerry.dev/x:1" {
		t.Errorf("the image's name in the archive is %q", got)
	}
	read, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	checkImage(t, read)
}

func TestPullFromRegistry(t *testing.T) {
	host := registrytest.Start(t, registrytest.Options{}).Host
	ref, err := name.ParseReference(host + "/library/postgres:15")
	if err != nil {
		t.Fatal(err)
	}
	want := sample(t)
	if err := remote.Write(ref, want); err != nil {
		t.Fatal(err)
	}
	got, err := pull(t.Context(), host, Postgres)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := want.Digest()
	if b, err := got.Digest(); err != nil || a != b {
		t.Errorf("pulled %s, %v; want %s", b, err, a)
	}
	if _, err := pull(t.Context(), host, Redis); err == nil {
		t.Error("an image that the registry has not must be an error")
	}
}

func TestPullGivesUpWithoutRegistry(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	listener.Close()
	if _, err := pull(t.Context(), host, Postgres); err == nil {
		t.Error("nobody listens there")
	}
}

func TestIsCurrent(t *testing.T) {
	own, official := recipe{}, recipe{official: true}
	cases := map[string]struct {
		reason string
		recipe recipe
		known  *record
		want   bool
	}{
		"Same":           {"nothing has changed", own, &record{Key: "k", Digest: "d"}, true},
		"Rebuilt":        {"a program has changed since", own, &record{Key: "old", Digest: "d"}, false},
		"OtherOnNode":    {"somebody imported another image of that name", own, &record{Key: "k", Digest: "x"}, false},
		"Unknown":        {"we do not know what the node's image was built from", own, nil, false},
		"PulledBySome":   {"an official image that a person pulled stays", official, nil, true},
		"PulledByUs":     {"an official image does not depend on the recipe", official, &record{Key: "old", Digest: "d", Pulled: true}, true},
		"RecipeImproved": {"one built from packages does", official, &record{Key: "old", Digest: "d"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := isCurrent(c.recipe, c.known, "d", "k"); got != c.want {
				t.Errorf("%s: got %t", c.reason, got)
			}
		})
	}
}

func TestKeyFollowsThePrograms(t *testing.T) {
	b := Builder{Programs: t.TempDir()}
	program := filepath.Join(b.Programs, "pause")
	write := func(text string) {
		if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	key := func() string {
		k, err := b.key(recipes()[Pause()])
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	write("one")
	first := key()
	if key() != first {
		t.Error("the key of an unchanged program has changed")
	}
	write("another")
	if key() == first {
		t.Error("the key has not followed the program")
	}
}

func TestMissingProgramNamesTheBuild(t *testing.T) {
	err := CheckPrograms(t.TempDir(), append(SystemImages(), AppImages()...))
	var missing *MissingProgramError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "make build") {
		t.Fatalf("got %v, want a *MissingProgramError that names `make build`", err)
	}
	for _, program := range []string{"pause", "skerry-kube", "skerry-operator", "demo"} {
		if n := strings.Count(err.Error(), "program "+program+" "); n != 1 {
			t.Errorf("%s is named %d times in\n%v", program, n, err)
		}
	}
}

func TestEveryImageHasARecipe(t *testing.T) {
	for _, name := range append(SystemImages(), AppImages()...) {
		r, ok := recipes()[name]
		if !ok {
			t.Errorf("no recipe for %s", name)
		}
		if r.official != (r.config.Labels[LabelBuiltFrom] == "debian") {
			t.Errorf("%s: an image under an official name must say that it is not the official one", name)
		}
	}
}

func TestParseList(t *testing.T) {
	out := `REF                        TYPE                                       DIGEST       SIZE    PLATFORMS   LABELS
skerry.dev/pause:1         application/vnd.oci.image.manifest.v1+json sha256:aa11   2.1 MiB linux/amd64 -
`
	if diff := cmp.Diff(map[string]string{"skerry.dev/pause:1": "sha256:aa11"}, parseList([]byte(out))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func names(t *testing.T, r io.Reader) []string {
	t.Helper()
	var all []string
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %o %d", h.Name, h.Mode, h.Uid))
	}
}

func unpack(t *testing.T, r io.Reader, dir string) {
	t.Helper()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if err := replaceFile(filepath.Join(dir, h.Name), content); err != nil {
			t.Fatal(err)
		}
	}
}
