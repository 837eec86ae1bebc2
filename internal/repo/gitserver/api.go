// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// CreateRequest is the body of POST /api/v1/repos.
type CreateRequest struct {
	Owner string `json:"owner"`
	Name  string `json:"name"`
	Metadata
}

// Repository is what the admin API answers with.
type Repository struct {
	Owner string `json:"owner"`
	Name  string `json:"name"`
	Metadata
	// HTMLURL is the index page.
	HTMLURL string `json:"htmlURL"`
	// DefaultBranch is always main.
	DefaultBranch string `json:"defaultBranch"`
	// ReadToken and WriteToken are passwords that open this repository only.
	ReadToken  string `json:"readToken"`
	WriteToken string `json:"writeToken"`
}

// apiCreate answers 201 for a new repository and 200 for one that is there; the caller
// looks at managedBy to see whether it is its own.
func (s *Server) apiCreate(w http.ResponseWriter, r *http.Request) {
	var req CreateRequest
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		http.Error(w, "reading the request: "+err.Error(), http.StatusBadRequest)
		return
	}
	id, err := newRepoID(req.Owner, req.Name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	if req.Visibility != VisibilityPublic {
		req.Visibility = VisibilityPrivate
	}
	created, err := s.create(r.Context(), id, req.Metadata)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	code := http.StatusOK
	if created {
		code = http.StatusCreated
		s.opts.Log.Info("created a repository", "repository", id.String(), "managedBy", req.ManagedBy)
	}
	s.answerRepository(w, r, id, code)
}

func (s *Server) apiGet(w http.ResponseWriter, r *http.Request) {
	id, err := newRepoID(r.PathValue("owner"), r.PathValue("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	s.answerRepository(w, r, id, http.StatusOK)
}

// apiDelete answers 204 whether or not the repository was there.
func (s *Server) apiDelete(w http.ResponseWriter, r *http.Request) {
	id, err := newRepoID(r.PathValue("owner"), r.PathValue("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	if err := s.remove(id); err != nil {
		s.fail(w, r, err)
		return
	}
	s.opts.Log.Info("deleted a repository", "repository", id.String())
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) apiList(w http.ResponseWriter, r *http.Request) {
	ids, err := s.list()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	out := []Repository{}
	for _, id := range ids {
		repo, err := s.describe(r, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		out = append(out, repo)
	}
	answerJSON(w, http.StatusOK, out)
}

func (s *Server) answerRepository(w http.ResponseWriter, r *http.Request, id repoID, code int) {
	repo, err := s.describe(r, id)
	switch {
	case errors.Is(err, ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		s.fail(w, r, err)
	default:
		answerJSON(w, code, repo)
	}
}

// describe reads a repository's metadata and fills in what the server knows.
func (s *Server) describe(r *http.Request, id repoID) (Repository, error) {
	m, err := s.metadata(id)
	if err != nil {
		return Repository{}, err
	}
	_, password, err := s.credentials()
	if err != nil {
		return Repository{}, err
	}
	if m.CloneURL == "" {
		m.CloneURL = s.base(r) + "/" + id.String() + ".git"
	}
	return Repository{
		Owner: id.Owner, Name: id.Name, Metadata: m,
		HTMLURL: strings.TrimSuffix(m.CloneURL, ".git"), DefaultBranch: defaultBranch,
		ReadToken:  Token(password, ScopeRead, id.Owner, id.Name),
		WriteToken: Token(password, ScopeWrite, id.Owner, id.Name),
	}, nil
}

// base is the address that clients use.
func (s *Server) base(r *http.Request) string {
	if s.opts.PublicURL != "" {
		return strings.TrimRight(s.opts.PublicURL, "/")
	}
	return "http://" + r.Host
}

func answerJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}
