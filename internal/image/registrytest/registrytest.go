// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registrytest gives tests a real container registry: the distribution project's, from
// Debian's package docker-registry (`make test-prerequisites`).
package registrytest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// program is Debian's name of the distribution project's registry.
const program = "docker-registry"

// Registry is a running registry on loopback, which speaks HTTP.
type Registry struct {
	// Host is HOST:PORT.
	Host string
}

// Account may read and write; a registry without one asks nobody who they are.
type Account struct{ Username, Password string }

// listening is the registry's log line that gives its address.
var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// Options of a registry; the zero value is usable.
type Options struct {
	// Account is asked for when there is one.
	Account *Account
	// Enter are the words of a command that the registry is started by, such as nsenter(1).
	Enter []string
}

// Start starts an empty registry that ends with the test.
func Start(t testing.TB, opts Options) *Registry {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%v: run `make test-prerequisites`, or apt-get install docker-registry", err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog: {level: info}\nhttp: {addr: '127.0.0.1:0'}\nstorage: {filesystem: {rootdirectory: %s}}\n", filepath.Join(dir, "data"))
	if account := opts.Account; account != nil {
		hash, err := bcrypt.GenerateFromPassword([]byte(account.Password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "htpasswd"), account.Username+":"+string(hash)+"\n")
		config += "auth: {htpasswd: {realm: test, path: " + filepath.Join(dir, "htpasswd") + "}}\n"
	}
	file := filepath.Join(dir, "config.yml")
	write(t, file, config)

	ctx, cancel := context.WithCancel(context.Background())
	words := append(slices.Clone(opts.Enter), program, "serve", file)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	ended := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
		_ = cmd.Wait()
	})
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			go func() {
				defer close(ended)
				for lines.Scan() { // so that the registry never waits for its log to be read
				}
			}()
			return &Registry{Host: found[1]}
		}
	}
	close(ended)
	t.Fatalf("the registry did not start:\n%s", strings.Join(said, "\n"))
	return nil
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
