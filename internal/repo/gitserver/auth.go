// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// access is what a client may do with one repository; each level includes the ones before.
type access int

const (
	accessNone access = iota
	accessRead
	accessWrite
	accessAdmin
)

// Scope of a repository's token.
type Scope string

const (
	ScopeRead  Scope = "read"
	ScopeWrite Scope = "write"
)

// TokenUser is the user name that goes with a repository's token. Git needs one; the
// server looks at the token only.
const TokenUser = "skerry"

// Token is the password that opens one repository and no other. It is derived from the
// administrator's password (HMAC-SHA256 over the scope and the repository's name), so
// the server stores none, and changing the administrator's password revokes all.
func Token(adminPassword string, scope Scope, owner, name string) string {
	mac := hmac.New(sha256.New, []byte(adminPassword))
	fmt.Fprintf(mac, "skerry-git-token\n%s\n%s/%s", scope, owner, name)
	return hex.EncodeToString(mac.Sum(nil))[:48]
}

// credentials returns the administrator's user name and password as they are now.
func (s *Server) credentials() (username, password string, err error) {
	read := func(file string) string {
		var data []byte
		if err == nil {
			data, err = os.ReadFile(filepath.Join(s.opts.CredentialsDir, file))
		}
		return strings.TrimSpace(string(data))
	}
	username, password = read(fileUsername), read(filePassword)
	if err == nil && (username == "" || password == "") {
		err = fmt.Errorf("%s and %s in %s must not be empty", fileUsername, filePassword, s.opts.CredentialsDir)
	}
	return username, password, err
}

// access decides what the request's credentials allow on the repository. Comparisons
// take the same time whatever the difference.
func (s *Server) access(r *http.Request, id repoID, visibility string) (access, error) {
	adminUser, adminPassword, err := s.credentials()
	if err != nil {
		return accessNone, fmt.Errorf("reading the administrator's credentials: %w", err)
	}
	level := accessNone
	if visibility == VisibilityPublic {
		level = accessRead
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return level, nil
	}
	switch {
	case same(user, adminUser) && same(password, adminPassword):
		return accessAdmin, nil
	case same(password, Token(adminPassword, ScopeWrite, id.Owner, id.Name)):
		return accessWrite, nil
	case same(password, Token(adminPassword, ScopeRead, id.Owner, id.Name)):
		return max(level, accessRead), nil
	}
	return level, nil
}

// same compares in constant time; hashing first hides the lengths too.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// refuse asks for credentials. A repository that does not exist is answered in the same
// way, so that names cannot be guessed.
func refuse(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="Skerry Git", charset="UTF-8"`)
	http.Error(w, "credentials for this repository are needed", http.StatusUnauthorized)
}

// admin lets only the administrator through.
func (s *Server) admin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		level, err := s.access(r, repoID{}, "")
		switch {
		case err != nil:
			s.fail(w, r, err)
		case level < accessAdmin:
			refuse(w)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody)
			next(w, r)
		}
	}
}

// fail answers 500 and keeps the reason in the log.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.opts.Log.Error(err, "answering a request", "method", r.Method, "path", r.URL.Path)
	http.Error(w, "the Git server could not do this; its log says why", http.StatusInternalServerError)
}
