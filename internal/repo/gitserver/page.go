// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"html/template"
	"net/http"
	"strings"
)

const (
	pageCommits = 30
	pageFiles   = 500
)

// page shows one repository, or, with Repositories, all of them.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Title}} · Skerry Git</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
code{background:#f2f2f2;padding:.1rem .3rem}td{padding:.15rem .8rem .15rem 0;vertical-align:top}h2{margin-top:2rem}</style>
<h1>{{.Title}}</h1>
{{with .Description}}<p>{{.}}</p>{{end}}
{{with .CloneURL}}<p><code>git clone {{.}}</code></p>{{end}}
{{if .Repositories}}<ul>{{range .Repositories}}<li><a href="/{{.}}">{{.}}</a></li>{{end}}</ul>{{end}}
{{if .Empty}}<p>Nothing here yet.</p>{{end}}
{{if .Commits}}<h2>Commits on {{.Branch}}</h2><table>
{{range .Commits}}<tr><td><code>{{slice .ID 0 8}}</code><td>{{.Subject}}<td>{{.Author.Name}}<td>{{.Timestamp.UTC.Format "2006-01-02 15:04"}}</tr>
{{end}}</table>{{end}}
{{if .Files}}<h2>Files</h2><ul>{{range .Files}}<li><code>{{.}}</code></li>{{end}}</ul>{{end}}
</html>
`))

type pageData struct {
	Title, Description, CloneURL, Branch string
	Repositories                         []string
	Commits                              []Commit
	Files                                []string
	Empty                                bool
}

// Subject is the first line of the message.
func (c Commit) Subject() string {
	subject, _, _ := strings.Cut(c.Message, "\n")
	return subject
}

// pageIndex lists the repositories, for the administrator.
func (s *Server) pageIndex(w http.ResponseWriter, r *http.Request) {
	ids, err := s.list()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	data := pageData{Title: "Repositories", Empty: len(ids) == 0}
	for _, id := range ids {
		data.Repositories = append(data.Repositories, id.String())
	}
	s.render(w, r, data)
}

// pageRepository shows a repository's newest commits and its files.
func (s *Server) pageRepository(w http.ResponseWriter, r *http.Request) {
	id, meta, ok := s.authorize(w, r, accessRead)
	if !ok {
		return
	}
	data := pageData{Title: id.String(), Description: meta.Description, CloneURL: meta.CloneURL, Branch: defaultBranch}
	if data.CloneURL == "" {
		data.CloneURL = s.base(r) + "/" + id.String() + ".git"
	}
	refs, err := s.references(r.Context(), id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if head, ok := refs["refs/heads/"+defaultBranch]; ok {
		if data.Commits, err = s.log(r.Context(), id, head, pageCommits); err == nil {
			data.Files, err = s.files(r, id, head)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
	}
	data.Empty = len(data.Commits) == 0
	s.render(w, r, data)
}

func (s *Server) files(r *http.Request, id repoID, commit string) ([]string, error) {
	out, err := s.run(r.Context(), s.dir(id), "ls-tree", "-r", "-z", "--name-only", commit)
	if err != nil || out == "" {
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	return names[:min(len(names), pageFiles)], nil
}

func (s *Server) render(w http.ResponseWriter, r *http.Request, data pageData) {
	var b strings.Builder
	if err := page.Execute(&b, data); err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write([]byte(b.String()))
}
