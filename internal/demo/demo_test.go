// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serve starts the service over the given bindings.
func serve(t *testing.T, cfg Config) string {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() { server.Close(); s.Close() })
	return server.URL
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func roundtrip(t *testing.T, url, value string) (int, Roundtrip) {
	t.Helper()
	code, body := get(t, url+"/api/roundtrip?value="+value)
	var r Roundtrip
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return code, r
}

func TestFromEnv(t *testing.T) {
	env := map[string]string{
		"DATABASE_HOST": "db", "DATABASE_USERNAME": "app", "DATABASE_PASSWORD": "p@ss/w:rd", "DATABASE_DATABASE": "app",
		"CACHE_HOST": "cache", "CACHE_PORT": "6380", "HOSTNAME": "pod-1",
	}
	cfg := FromEnv(func(k string) string { return env[k] })
	if cfg.Pod != "pod-1" || cfg.Database.address() != "db:5432" || cfg.Cache.address() != "cache:6380" {
		t.Errorf("got %+v %+v %+v", cfg.Pod, cfg.Database.address(), cfg.Cache.address())
	}
	if cfg := FromEnv(func(string) string { return "" }); cfg.Database != nil || cfg.Cache != nil {
		t.Errorf("bindings without variables: %+v", cfg)
	}
}

// Without any store the service runs, is alive and ready, and says what is missing.
func TestWithoutStores(t *testing.T) {
	url := serve(t, Config{Pod: "pod-1"})
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 503, "/api/roundtrip": 503, "/other": 404} {
		if code, _ := get(t, url+path); code != want {
			t.Errorf("GET %s: %d, want %d", path, code, want)
		}
	}
	_, r := roundtrip(t, url, "x")
	if r.Postgres.Configured || !strings.Contains(r.Postgres.Error, "DATABASE_HOST is not set") || !strings.Contains(r.Redis.Error, "CACHE_HOST is not set") {
		t.Errorf("got %+v", r)
	}
}

// A store that cannot be reached is an error with its address and without its password.
func TestUnreachableStores(t *testing.T) {
	b := Binding{Host: "127.0.0.1", Port: "1", Username: "app", Password: "very-secret", Database: "app"}
	url := serve(t, Config{Database: &b, Cache: &b})
	for _, path := range []string{"/api/roundtrip", "/", "/readyz"} {
		code, body := get(t, url+path)
		if code != 503 || !strings.Contains(body, "127.0.0.1:1") || strings.Contains(body, "very-secret") {
			t.Errorf("GET %s: %d %s", path, code, body)
		}
	}
}

// The real stores of the distribution return what was written.
func TestRealStores(t *testing.T) {
	for _, variable := range os.Environ() { // libpq's, which the client reads too
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PG") {
			t.Setenv(name, "")
		}
	}
	t.Run("PostgreSQL", func(t *testing.T) {
		b := startPostgres(t)
		url := serve(t, Config{Database: &b})
		for _, value := range []string{"first", "second%20with%20space", ""} {
			code, r := roundtrip(t, url, value)
			if code != 200 || r.Postgres.Read != r.Value || r.Postgres.Written != r.Value || r.Postgres.ServerVersion == "" {
				t.Errorf("%q: %d %+v", value, code, r)
			}
		}
		if code, page := get(t, url+"/"); code != 200 || !strings.Contains(page, "The value came back") {
			t.Errorf("page: %d %s", code, page)
		}
		replicas(t, b)
	})
	t.Run("Redis", func(t *testing.T) {
		b := startRedis(t)
		url := serve(t, Config{Cache: &b})
		code, r := roundtrip(t, url, "hello")
		if code != 200 || r.Redis.Read != "hello" || r.Redis.ServerVersion == "" || r.Redis.Host != b.address() {
			t.Errorf("%d %+v", code, r)
		}
	})
}

// replicas start at the same moment on an empty database; none may fail.
func replicas(t *testing.T, b Binding) {
	t.Helper()
	answers := make(chan int)
	for range 4 {
		url := serve(t, Config{Database: &b})
		go func() {
			resp, err := http.Get(url + "/api/roundtrip")
			if err != nil {
				answers <- 0
				return
			}
			resp.Body.Close()
			answers <- resp.StatusCode
		}()
	}
	for range 4 {
		if code := <-answers; code != 200 {
			t.Errorf("a replica answered %d", code)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// startPostgres runs Debian's PostgreSQL, which refuses to run as root, as its own user.
func startPostgres(t *testing.T) Binding {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		t.Skip("PostgreSQL is not installed (apt-get install postgresql)")
	}
	bin := bins[len(bins)-1]
	dir, err := os.MkdirTemp("", "demo-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		attr.Credential = owner(t, dir, "postgres", "nobody")
	}
	b := Binding{Host: "127.0.0.1", Username: "app", Password: "p@ss/w:rd", Database: "postgres"}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(b.Password), 0o644); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", b.Username, "--pwfile", password, "-A", "scram-sha-256", "--no-sync", "--no-locale", "-E", "UTF8")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	return run(t, b, func(port string) *exec.Cmd {
		server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", port, "-h", b.Host, "-k", dir, "-c", "fsync=off")
		server.SysProcAttr, server.Dir = attr, dir
		return server
	})
}

// owner gives the folder to the first of the users that exists.
func owner(t *testing.T, dir string, names ...string) *syscall.Credential {
	t.Helper()
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Skip("PostgreSQL does not run as root and there is no other user")
	return nil
}

func startRedis(t *testing.T) Binding {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("Redis is not installed (apt-get install redis-server)")
	}
	b, dir := Binding{Host: "127.0.0.1", Password: "p@ss w:rd"}, t.TempDir()
	return run(t, b, func(port string) *exec.Cmd {
		return exec.Command(path, "--port", port, "--bind", b.Host, "--requirepass", b.Password, "--save", "", "--dir", dir)
	})
}

// run starts a server and waits until it accepts connections; it ends with the test. Neither server
// can choose its port itself, and a free one may be somebody else's by then: another is tried.
func run(t *testing.T, b Binding, command func(port string) *exec.Cmd) Binding {
	t.Helper()
	for range 5 {
		b.Port = freePort(t)
		if serving(t, command(b.Port), b) {
			return b
		}
	}
	t.Fatal("it ended each time")
	return b
}

// serving reports whether the server accepts connections, or has ended.
func serving(t *testing.T, server *exec.Cmd, b Binding) bool {
	t.Helper()
	var said bytes.Buffer
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT)
		<-exited
	})
	ready, err := New(configFor(b))
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	deadline := time.Now().Add(time.Minute)
	for {
		err := errors.Join(ready.postgres.ping(t.Context()), ready.redis.ping(t.Context()))
		if err == nil {
			return true
		}
		select {
		case e := <-exited:
			t.Logf("%s ended: %v\n%s", server.Path, e, said.String())
			exited <- e
			return false
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v", server.Path, err)
		}
	}
}

// configFor binds the store as what it is: a PostgreSQL has a database.
func configFor(b Binding) Config {
	if b.Database != "" {
		return Config{Database: &b}
	}
	return Config{Cache: &b}
}
