// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/template"
)

//go:embed all:templates
var templateFiles embed.FS

// Template is one source template: the first content of an application's repository.
type Template struct {
	// Name that Repository.spec.template says.
	Name string
	// Language and Framework that it is for, as ApplicationClaim.spec says them.
	Language, Framework string
}

// Templates returns every source template, one for each language.
func Templates() []Template {
	return []Template{
		{Name: "go", Language: "go", Framework: "nethttp"},
		{Name: "java", Language: "java", Framework: "springboot"},
		{Name: "nodejs", Language: "nodejs", Framework: "express"},
		{Name: "python", Language: "python", Framework: "fastapi"},
	}
}

// TemplateFor returns the template of a language and framework; an empty framework is the
// language's own. An error says what there is instead.
func TemplateFor(language, framework string) (Template, error) {
	all := Templates()
	i := slices.IndexFunc(all, func(t Template) bool { return t.Language == language })
	if i < 0 {
		return Template{}, fmt.Errorf("there is no source template for language %q; there are: %s", language, languages(all))
	}
	if framework != "" && framework != all[i].Framework {
		return Template{}, fmt.Errorf("there is no source template for %s with framework %q; leave the framework out or say %q",
			language, framework, all[i].Framework)
	}
	return all[i], nil
}

func languages(all []Template) string {
	names := make([]string, 0, len(all))
	for _, t := range all {
		names = append(names, t.Language)
	}
	return strings.Join(names, ", ")
}

// RenderTemplate returns the files of a source template for an application of that name,
// path to content. The files are text/template with [[ and ]], because their own languages use braces,
// and end in .tmpl, so that no tool takes them for part of this repository.
func RenderTemplate(name, application string) (map[string]string, error) {
	if !slices.ContainsFunc(Templates(), func(t Template) bool { return t.Name == name }) {
		return nil, fmt.Errorf("there is no source template %q; there are: %s", name, languages(Templates()))
	}
	root := "templates/" + name
	out := map[string]string{}
	err := fs.WalkDir(templateFiles, root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := render(path, application)
		if err != nil {
			return fmt.Errorf("rendering source template %s: %w", path, err)
		}
		out[strings.TrimSuffix(strings.TrimPrefix(path, root+"/"), ".tmpl")] = content
		return nil
	})
	return out, err
}

func render(path, application string) (string, error) {
	text, err := templateFiles.ReadFile(path)
	if err != nil {
		return "", err
	}
	t, err := template.New(path).Delims("[[", "]]").Option("missingkey=error").Parse(string(text))
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, struct{ Name string }{application}); err != nil {
		return "", err
	}
	return out.String(), nil
}
