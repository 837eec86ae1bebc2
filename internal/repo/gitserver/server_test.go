// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"

	"github.com/skerry-platform/skerry/internal/repo/gitserver"
)

const (
	adminUser     = "admin"
	adminPassword = "correct horse"
	webhookKey    = "push key"
)

// running is a server under test and what its webhook received.
type running struct {
	t      *testing.T
	url    string
	data   string
	events chan gitserver.PushEvent
	stop   context.CancelFunc
	done   chan error
}

// start runs a server with its own data folder. refuseFirst is how many push events its
// receiver answers with an error before it takes one.
func start(t *testing.T, refuseFirst int32, change ...func(*gitserver.Options)) *running {
	t.Helper()
	s := &running{t: t, data: t.TempDir(), events: make(chan gitserver.PushEvent, 10), done: make(chan error, 1)}
	var refusals atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if refusals.Add(1) <= refuseFirst {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		if r.Header.Get("X-Hub-Signature-256") != gitserver.Sign([]byte(webhookKey), body) || r.Header.Get("X-GitHub-Event") != "push" {
			http.Error(w, "bad signature", http.StatusForbidden)
			return
		}
		var e gitserver.PushEvent
		if err := json.Unmarshal(body, &e); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.events <- e
	}))
	t.Cleanup(receiver.Close)
	secrets := t.TempDir()
	for name, content := range map[string]string{"username": adminUser, "password": adminPassword + "\n", "key": webhookKey + "\n"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts := gitserver.Options{
		Listener: l, DataDir: s.data, CredentialsDir: secrets, WebhookURL: receiver.URL,
		WebhookSecretFile: filepath.Join(secrets, "key"), Log: testr.New(t),
	}
	for _, c := range change {
		c(&opts)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.url, s.stop = "http://"+l.Addr().String(), cancel
	go func() { s.done <- gitserver.Run(ctx, opts) }()
	t.Cleanup(func() {
		cancel()
		if err := <-s.done; err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	return s
}

// call sends one request as the given user and returns the status and the body.
func (s *running) call(method, path, user, password, body string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	out, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(out)
}

// create makes a repository as the administrator.
func (s *running) create(owner, name, visibility string) gitserver.Repository {
	s.t.Helper()
	code, body := s.call("POST", "/api/v1/repos", adminUser, adminPassword,
		`{"owner":"`+owner+`","name":"`+name+`","visibility":"`+visibility+`","managedBy":"test"}`)
	if code != http.StatusCreated {
		s.t.Fatalf("creating %s/%s: %d %s", owner, name, code, body)
	}
	var repo gitserver.Repository
	if err := json.Unmarshal([]byte(body), &repo); err != nil {
		s.t.Fatal(err)
	}
	return repo
}

// as returns the clone URL of a repository with credentials in it.
func (s *running) as(repo, user, password string) string {
	u, err := url.Parse(s.url + "/" + repo + ".git")
	if err != nil {
		s.t.Fatal(err)
	}
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}

// git runs the real Git, which must succeed.
func (s *running) git(dir string, args ...string) string {
	s.t.Helper()
	out, err := s.tryGit(dir, args...)
	if err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (s *running) tryGit(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// commit clones, writes one file and commits it; the caller pushes.
func (s *running) commit(url, file string, content []byte) (dir string) {
	s.t.Helper()
	dir = filepath.Join(s.t.TempDir(), "work")
	s.git(".", "clone", "--quiet", url, dir)
	if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.git(dir, "add", file)
	s.git(dir, "commit", "--quiet", "-m", "Add "+file+"\n\nBody.")
	return dir
}

func (s *running) event() gitserver.PushEvent {
	s.t.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(time.Minute):
		s.t.Fatal("no push event within a minute")
		return gitserver.PushEvent{}
	}
}

func TestPushIsReceivedToldAndClonedAgain(t *testing.T) {
	s := start(t, 0)
	repo := s.create("skerry", "shop-gitops", "private")
	work := s.commit(s.as("skerry/shop-gitops", gitserver.TokenUser, repo.WriteToken), "app.yaml", []byte("a: 1\n"))
	s.git(work, "push", "--quiet", "origin", "HEAD:main")
	head := s.git(work, "rev-parse", "HEAD")

	e := s.event()
	want := gitserver.PushEvent{
		Ref: "refs/heads/main", Before: strings.Repeat("0", 40), After: head, Created: true,
		Repository: gitserver.PushRepository{
			Name: "shop-gitops", FullName: "skerry/shop-gitops", Private: true, DefaultBranch: "main",
			HTMLURL: s.url + "/skerry/shop-gitops", CloneURL: s.url + "/skerry/shop-gitops.git",
		},
		Pusher: gitserver.Person{Name: gitserver.TokenUser},
		Commits: []gitserver.Commit{{
			ID: head, Message: "Add app.yaml\n\nBody.", Author: gitserver.Person{Name: "Ann", Email: "ann@example.org"},
			Timestamp: e.HeadCommit.Timestamp,
		}},
	}
	want.HeadCommit = &want.Commits[0]
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("push event (-want +got):\n%s", diff)
	}

	clone := filepath.Join(t.TempDir(), "clone")
	s.git(".", "clone", "--quiet", "--depth=1", "--filter=blob:none", s.as("skerry/shop-gitops", "any", repo.ReadToken), clone)
	if got, err := os.ReadFile(filepath.Join(clone, "app.yaml")); err != nil || string(got) != "a: 1\n" {
		t.Errorf("cloned app.yaml = %q, %v", got, err)
	}
	if branch := s.git(clone, "branch", "--show-current"); branch != "main" {
		t.Errorf("default branch = %q, want main", branch)
	}

	s.git(work, "commit", "--quiet", "--amend", "-m", "Other words")
	s.git(work, "push", "--quiet", "--force", "origin", "HEAD:main")
	if e := s.event(); !e.Forced || e.Before != head || e.Created {
		t.Errorf("forced push told as %+v", e)
	}
}

func TestAccess(t *testing.T) {
	s := start(t, 0)
	private, other := s.create("skerry", "one", "private"), s.create("skerry", "two", "private")
	s.create("skerry", "open", "public")
	cases := map[string]struct {
		repo, user, password string
		read, write          bool
	}{
		"the administrator does all":         {"skerry/one", adminUser, adminPassword, true, true},
		"a write token reads and writes":     {"skerry/one", "x", private.WriteToken, true, true},
		"a read token only reads":            {"skerry/one", "x", private.ReadToken, true, false},
		"another repository's token is none": {"skerry/one", "x", other.WriteToken, false, false},
		"a wrong password is none":           {"skerry/one", adminUser, "wrong", false, false},
		"no credentials are none":            {"skerry/one", "", "", false, false},
		"everybody reads a public one":       {"skerry/open", "", "", true, false},
		"a missing one looks like a locked":  {"skerry/none", "", "", false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for service, want := range map[string]bool{"git-upload-pack": c.read, "git-receive-pack": c.write} {
				code, _ := s.call("GET", "/"+c.repo+".git/info/refs?service="+service, c.user, c.password, "")
				if got := code == http.StatusOK; got != want {
					t.Errorf("%s answered %d, want allowed=%t", service, code, want)
				}
			}
		})
	}
	if code, _ := s.call("GET", "/api/v1/repos", "x", private.WriteToken, ""); code != http.StatusUnauthorized {
		t.Errorf("the admin API answered a repository token with %d, want 401", code)
	}
}

func TestPathsStayInside(t *testing.T) {
	s := start(t, 0)
	s.create("skerry", "one", "public")
	outside := filepath.Join(filepath.Dir(s.data), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/skerry/one.git/../../../secret", "/skerry/..%2f..%2fsecret", "/..%2f/one.git/info/refs?service=git-upload-pack",
		"/skerry/%2e%2e/info/refs?service=git-upload-pack", "/skerry/one.git/config", "/skerry/one.git/HEAD",
		"/skerry/one.git/objects/info/packs", "/skerry/one.git/info/refs", "/skerry/one.git.git/info/refs?service=git-upload-pack",
		"/skerry/one%00.git/info/refs?service=git-upload-pack", "/api/v1/repos/..%2f../x",
	} {
		code, body := s.call("GET", path, adminUser, adminPassword, "")
		if code == http.StatusOK || strings.Contains(body, "secret") && !strings.Contains(path, "secret") {
			t.Errorf("GET %s answered %d %q", path, code, body)
		}
	}
	for _, name := range []string{"..", "a/b", "../x", ".x", "A", "x.git", "x.lock", "", strings.Repeat("a", 101), "a..b"} {
		body, _ := json.Marshal(map[string]string{"owner": "skerry", "name": name})
		if code, out := s.call("POST", "/api/v1/repos", adminUser, adminPassword, string(body)); code != http.StatusUnprocessableEntity {
			t.Errorf("creating %q answered %d %s, want 422", name, code, out)
		}
	}
}

func TestAdminAPIIsIdempotent(t *testing.T) {
	s := start(t, 0)
	first := s.create("skerry", "one", "private")
	code, body := s.call("POST", "/api/v1/repos", adminUser, adminPassword, `{"owner":"skerry","name":"one","managedBy":"somebody else"}`)
	if code != http.StatusOK || !strings.Contains(body, `"managedBy":"test"`) {
		t.Errorf("creating it again answered %d %s, want 200 and the first manager", code, body)
	}
	code, body = s.call("GET", "/api/v1/repos/skerry/one", adminUser, adminPassword, "")
	var got gitserver.Repository
	if err := json.Unmarshal([]byte(body), &got); code != http.StatusOK || err != nil {
		t.Fatalf("reading it answered %d %s", code, body)
	}
	if diff := cmp.Diff(first, got); diff != "" {
		t.Errorf("read repository (-created +read):\n%s", diff)
	}
	for range 2 {
		if code, body := s.call("DELETE", "/api/v1/repos/skerry/one", adminUser, adminPassword, ""); code != http.StatusNoContent {
			t.Errorf("deleting answered %d %s, want 204", code, body)
		}
	}
	if code, _ := s.call("GET", "/api/v1/repos/skerry/one", adminUser, adminPassword, ""); code != http.StatusNotFound {
		t.Errorf("a deleted repository answers %d, want 404", code)
	}
	left, _ := filepath.Glob(filepath.Join(s.data, ".new-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPages(t *testing.T) {
	s := start(t, 0)
	repo := s.create("skerry", "one", "private")
	work := s.commit(s.as("skerry/one", "x", repo.WriteToken), "<b>.txt", []byte("1"))
	s.git(work, "push", "--quiet", "origin", "HEAD:main")
	code, body := s.call("GET", "/skerry/one", "x", repo.ReadToken, "")
	for _, want := range []string{"skerry/one", "Add &lt;b&gt;.txt", "<code>&lt;b&gt;.txt</code>", "Ann"} {
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("the page (%d) lacks %q:\n%s", code, want, body)
		}
	}
	if code, _ := s.call("GET", "/skerry/one", "", "", ""); code != http.StatusUnauthorized {
		t.Errorf("a private page answered %d without credentials, want 401", code)
	}
	if code, body := s.call("GET", "/", adminUser, adminPassword, ""); code != http.StatusOK || !strings.Contains(body, `href="/skerry/one"`) {
		t.Errorf("the index answered %d:\n%s", code, body)
	}
	if code, _ := s.call("GET", "/healthz", "", "", ""); code != http.StatusOK {
		t.Errorf("health answered %d", code)
	}
}
