// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/skerry-platform/skerry/internal/image/registrytest"
)

// programs is a folder with a program of each name, as a build leaves it.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"demo", "pause", "skerry-kube", "skerry-operator"} {
		if err := os.WriteFile(filepath.Join(dir, program), []byte("the program "+program), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRename(t *testing.T) {
	for _, c := range []struct{ image, prefix, want string }{
		{"skerry.dev/skerry:1.2.3", "registry.example.com", "registry.example.com/skerry:1.2.3"},
		{"skerry.dev/skerry:1.2.3", "registry.example.com/platform/", "registry.example.com/platform/skerry:1.2.3"},
		{Postgres, "registry.example.com/platform", "registry.example.com/platform/library/postgres:15"},
	} {
		if got := Rename(c.image, c.prefix); got != c.want {
			t.Errorf("%s below %s is %s, want %s", c.image, c.prefix, got, c.want)
		}
	}
}

// A pushed image is complete in the registry, and pushing it again gives the same digest.
func TestPushToARegistry(t *testing.T) {
	registry := registrytest.Start(t, registrytest.Options{})
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // whatever the person's says about credentials
	builder := Builder{Programs: programs(t), Cache: t.TempDir()}
	first, err := builder.Push(t.Context(), Demo(), registry.Host+"/team/skerry", false)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(first.Reference)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Errorf("the registry's image: %v", err)
	}
	config, err := img.ConfigFile()
	if err != nil || config.Config.Entrypoint[0] != "/usr/local/bin/demo" {
		t.Errorf("its configuration is %+v, error %v", config, err)
	}
	again, err := builder.Push(t.Context(), Demo(), registry.Host+"/team/skerry", false)
	if err != nil || again != first {
		t.Errorf("pushed again: %+v, error %v; want %+v", again, err, first)
	}
}

// A registry that wants to know who pushes gets the account of ~/.docker/config.json; without
// one, the refusal says how to log in.
func TestPushLogsIn(t *testing.T) {
	account := &registrytest.Account{Username: "pusher", Password: "c0rrect"}
	registry := registrytest.Start(t, registrytest.Options{Account: account})
	builder := Builder{Programs: programs(t), Cache: t.TempDir()}
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)

	_, err := builder.Push(t.Context(), Demo(), registry.Host+"/skerry", false)
	var refused *RegistryError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "docker login") {
		t.Errorf("without an account: %v; want a *RegistryError that says how to log in", err)
	}
	auth := base64.StdEncoding.EncodeToString([]byte(account.Username + ":" + account.Password))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, registry.Host, auth), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := builder.Push(t.Context(), Demo(), registry.Host+"/skerry", false); err != nil {
		t.Error(err)
	}
}

func TestPushRefusesWhatIsNoPlace(t *testing.T) {
	builder := Builder{Programs: programs(t), Cache: t.TempDir()}
	_, err := builder.Push(t.Context(), Demo(), "https://registry.example.com", false)
	if err == nil || !strings.Contains(err.Error(), "REGISTRY[/PATH]") {
		t.Errorf("an address instead of a prefix: %v", err)
	}
}

// A saved file is a whole image layout under the image's own name, and nothing else is left
// in the folder.
func TestSaveWritesOneFile(t *testing.T) {
	dir := t.TempDir()
	path, err := Builder{Programs: programs(t), Cache: t.TempDir()}.Save(t.Context(), Skerry(), dir)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := strings.Join(names(t, file), "\n"); !strings.Contains(got, "index.json") || !strings.Contains(got, "blobs/sha256/") {
		t.Errorf("the file holds\n%s", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, error %v", entries, err)
	}
}
