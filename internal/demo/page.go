// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"html/template"
	"net/http"
)

// document is the one page, filled with a Roundtrip.
const document = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{if .OK}}Both answered{{else}}Not everything answered{{end}}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% }
  th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; vertical-align: top }
  code { overflow-wrap: anywhere }
</style>
</head>
<body>
<h1>{{if .OK}}The value came back{{else}}The value did not come back from everywhere{{end}}</h1>
<p>This page wrote <code>{{.Value}}</code> and read it back, in pod <code>{{.Pod}}</code> at {{.Time.Format "15:04:05 MST"}}.</p>
<table>
<tr><th></th><th>read back</th><th>where</th><th>version</th><th>took</th></tr>
{{template "row" (row "PostgreSQL" .Postgres)}}
{{template "row" (row "Redis" .Redis)}}
</table>
<p>As JSON: <a href="api/roundtrip?value=hello">api/roundtrip?value=hello</a></p>
</body>
</html>
{{define "row"}}<tr><th>{{.Name}}</th>{{with .Result}}{{if .Error}}<td colspan="4">{{.Error}}</td>{{else}}` +
	`<td><code>{{.Read}}</code></td><td>{{.Host}}</td><td>{{.ServerVersion}}</td><td>{{.Milliseconds}} ms</td>{{end}}{{end}}</tr>{{end}}`

// row is one line of the table.
type row struct {
	Name   string
	Result Result
}

func (s *Service) page(w http.ResponseWriter, r *http.Request) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"row": func(name string, r Result) row { return row{Name: name, Result: r} },
	}).Parse(document)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	out := s.Run(r.Context(), "")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !out.OK() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = t.Execute(w, out)
}
