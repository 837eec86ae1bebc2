// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/yaml"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/catalog"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

var update = flag.Bool("update", false, "write the golden files")

// A story is a txtar file: an Application, definitions beside the catalog's, and what
// comes out: objects.yaml, or error.txt.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			app, defs, want := readStory(t, archive)
			name, got := "objects.yaml", ""
			res, err := render.Render(t.Context(), input(app, defs))
			if err != nil {
				name, got = "error.txt", err.Error()+"\n"
			} else {
				got = toYAML(t, res)
			}
			if *update {
				writeStory(t, file, archive, name, got)
				return
			}
			if diff := cmp.Diff(want[name], got); diff != "" {
				t.Errorf("%s differs (-want +got; -update writes it):\n%s", name, diff)
			}
		})
	}
}

func readStory(t *testing.T, archive *txtar.Archive) (*oamv1.Application, render.Definitions, map[string]string) {
	t.Helper()
	app := &oamv1.Application{}
	app.Name, app.Namespace = "shop", "default"
	defs := builtin(t)
	want := map[string]string{}
	for _, f := range archive.Files {
		base, ext := strings.TrimSuffix(f.Name, filepath.Ext(f.Name)), filepath.Ext(f.Name)
		switch {
		case f.Name == "app.yaml":
			if err := yaml.UnmarshalStrict(f.Data, app); err != nil {
				t.Fatalf("app.yaml: %v", err)
			}
		case ext == ".yaml" && strings.HasPrefix(base, "component-"):
			def := &oamv1.ComponentDefinition{}
			if err := yaml.UnmarshalStrict(f.Data, def); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			defs.Components[def.Name] = def
		case ext == ".yaml" && strings.HasPrefix(base, "trait-"):
			def := &oamv1.TraitDefinition{}
			if err := yaml.UnmarshalStrict(f.Data, def); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			defs.Traits[def.Name] = def
		default:
			want[f.Name] = string(f.Data)
		}
	}
	return app, defs, want
}

func writeStory(t *testing.T, file string, archive *txtar.Archive, name, got string) {
	t.Helper()
	kept := archive.Files[:0]
	for _, f := range archive.Files {
		if f.Name != "objects.yaml" && f.Name != "error.txt" {
			kept = append(kept, f)
		}
	}
	archive.Files = append(kept, txtar.File{Name: name, Data: []byte(got)})
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func toYAML(t testing.TB, res *render.Result) string {
	t.Helper()
	var b strings.Builder
	for i, o := range res.Objects() {
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			b.WriteString("---\n")
		}
		b.Write(data)
	}
	return b.String()
}

func input(app *oamv1.Application, defs render.Definitions) render.Input {
	return render.Input{
		Application: app, Definitions: defs, Cluster: "shop",
		ClusterVersion: version.Info{Major: "1", Minor: "37", GitVersion: "v1.37.2"},
		Revision:       oamv1.Revision{Name: app.Name + "-v1", Revision: 1},
	}
}

// builtin returns the catalog's definitions as they are in a cluster.
func builtin(t testing.TB) render.Definitions {
	t.Helper()
	objects, err := catalog.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		o.SetNamespace("vela-system")
	}
	return render.NewDefinitions(objects...)
}
