// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"flag"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the Go source template from internal/demo")

// TestGoTemplateIsTheDemoApplication proves that a person who starts from the template
// has the very program that the platform's demo image runs.
func TestGoTemplateIsTheDemoApplication(t *testing.T) {
	const header = "// Copyright The Skerry Authors.\n// SPDX-License-Identifier: Apache-2.0\n\n"
	sources, err := filepath.Glob("../internal/demo/*.go")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want["demo/"+filepath.Base(path)] = strings.TrimPrefix(string(text), header)
	}
	if *update {
		for path, text := range want {
			if err := os.WriteFile(filepath.Join("templates/go", path+".tmpl"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Skip("written; run again without -update")
	}
	files, err := RenderTemplate("go", "customer-service")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for path, text := range files {
		if strings.HasPrefix(path, "demo/") {
			got[path] = text
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the template differs from internal/demo; run go test ./catalog -run GoTemplate -update\n%s", diff)
	}
}

// TestGoTemplateBuilds builds the rendered repository as a person would, with the modules
// that this repository has already fetched.
func TestGoTemplateBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	files, err := RenderTemplate("go", "customer-service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for path, text := range files {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build of the rendered repository: %v\n%s", err, out)
	}
}

func TestEveryTemplateRenders(t *testing.T) {
	for _, template := range Templates() {
		t.Run(template.Name, func(t *testing.T) {
			files, err := RenderTemplate(template.Name, "customer-service")
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"README.md", "Dockerfile"} {
				if files[path] == "" {
					t.Errorf("no %s", path)
				}
			}
			for path, text := range files {
				if strings.Contains(text, "[[") {
					t.Errorf("%s: not rendered", path)
				}
				if strings.HasSuffix(path, ".go") {
					if _, err := parser.ParseFile(token.NewFileSet(), path, text, parser.AllErrors); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

func TestTemplateForSaysWhatThereIs(t *testing.T) {
	for _, c := range []struct{ language, framework, name, problem string }{
		{language: "go", name: "go"},
		{language: "python", framework: "fastapi", name: "python"},
		{language: "go", framework: "gin", problem: `leave the framework out or say "nethttp"`},
		{language: "cobol", problem: "there are: go, java, nodejs, python"},
	} {
		got, err := TemplateFor(c.language, c.framework)
		if c.problem == "" && (err != nil || got.Name != c.name) {
			t.Errorf("%s %s: got %q, %v", c.language, c.framework, got.Name, err)
		}
		if c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
			t.Errorf("%s %s: error %v, want it to say %q", c.language, c.framework, err, c.problem)
		}
	}
}
