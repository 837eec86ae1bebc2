// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skerry-platform/skerry/internal/repo/gitserver"
)

const localTimeout = 15 * time.Second

// Local is the platform's own Git server as a Provider.
type Local struct {
	// URL that the server is reached at, by this stage and by everybody who clones,
	// for example http://10.96.0.20:80.
	URL string
	// Credentials of the administrator, asked for at each call.
	Credentials func(ctx context.Context) (Credentials, error)
	// Client sends the requests. Default: one with a time limit of 15 s.
	Client *http.Client
}

// FileCredentials reads the files username and password of a folder, as a Secret is mounted.
func FileCredentials(dir string) func(context.Context) (Credentials, error) {
	return func(context.Context) (Credentials, error) {
		username, err := os.ReadFile(filepath.Join(dir, "username"))
		if err != nil {
			return Credentials{}, err
		}
		password, err := os.ReadFile(filepath.Join(dir, "password"))
		if err != nil {
			return Credentials{}, err
		}
		return Credentials{Username: strings.TrimSpace(string(username)), Password: strings.TrimSpace(string(password))}, nil
	}
}

// Ensure implements Provider. The server tells every push by itself, so there is no
// webhook to register.
func (l *Local) Ensure(ctx context.Context, r Request) (Remote, error) {
	cloneURL := fmt.Sprintf("%s/%s/%s.git", strings.TrimRight(l.URL, "/"), r.Owner, r.Name)
	var have gitserver.Repository
	err := l.call(ctx, http.MethodPost, "/api/v1/repos", gitserver.CreateRequest{
		Owner: r.Owner, Name: r.Name,
		Metadata: gitserver.Metadata{ManagedBy: r.ManagedBy, Visibility: r.Visibility, CloneURL: cloneURL},
	}, &have)
	if isStatus(err, http.StatusUnprocessableEntity) {
		return Remote{}, fmt.Errorf("%w: spec.owner, spec.name: %w", errSpec, err)
	}
	if err != nil {
		return Remote{}, fmt.Errorf("creating the repository %s/%s: %w", r.Owner, r.Name, err)
	}
	if have.ManagedBy != r.ManagedBy {
		return Remote{}, foreign(r, have.ManagedBy)
	}
	return Remote{
		URL: have.HTMLURL, CloneURL: have.CloneURL, Branch: have.DefaultBranch,
		Read:  Credentials{Username: gitserver.TokenUser, Password: have.ReadToken},
		Write: Credentials{Username: gitserver.TokenUser, Password: have.WriteToken},
	}, nil
}

// Delete implements Provider.
func (l *Local) Delete(ctx context.Context, r Request) error {
	path := "/api/v1/repos/" + r.Owner + "/" + r.Name
	var have gitserver.Repository
	err := l.call(ctx, http.MethodGet, path, nil, &have)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for the repository %s/%s: %w", r.Owner, r.Name, err)
	}
	if have.ManagedBy != r.ManagedBy {
		return foreign(r, have.ManagedBy)
	}
	if err := l.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
		return fmt.Errorf("deleting the repository %s/%s: %w", r.Owner, r.Name, err)
	}
	return nil
}

func foreign(r Request, manager string) error {
	if manager == "" {
		manager = "nobody"
	}
	return fmt.Errorf("%w: %s/%s is managed by %s, this is %s; choose another spec.name, or delete that repository",
		ErrForeign, r.Owner, r.Name, manager, r.ManagedBy)
}

// statusError is an answer other than 2xx.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the Git server answered %d: %s", e.code, e.message)
}

func isStatus(err error, code int) bool {
	var s *statusError
	return errors.As(err, &s) && s.code == code
}

// call sends one request of the admin API; in and out are JSON and may be nil.
func (l *Local) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(l.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	credentials, err := l.Credentials(ctx)
	if err != nil {
		return fmt.Errorf("reading the Git server's credentials: %w", err)
	}
	req.SetBasicAuth(credentials.Username, credentials.Password)
	req.Header.Set("Content-Type", "application/json")
	c := l.Client
	if c == nil {
		c = &http.Client{Timeout: localTimeout}
	}
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("calling the Git server: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		message, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return &statusError{code: resp.StatusCode, message: strings.TrimSpace(string(message))}
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("reading the Git server's answer: %w", err)
	}
	return nil
}
