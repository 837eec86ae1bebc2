// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// nonroot is the user that our own programs run as.
const nonroot = 65532

// recipe is how one image comes about: a file system from Debian's packages or from
// nothing, with our own files and programs on top.
type recipe struct {
	name string
	// packages, when there are any, are extracted below everything else.
	packages []string
	// drop are paths of the packages that are left out, each with all below it.
	drop []string
	// files come above the packages.
	files []entry
	// programs are ours, each a layer of its own at /usr/local/bin.
	programs []string
	config   v1.Config
	// official is set when a registry may have the image under its name.
	official bool
}

// SystemImages are what the node itself needs, AppImages what the platform's users need.
func SystemImages() []string { return []string{Pause(), Skerry()} }
func AppImages() []string    { return []string{Demo(), Git(), Postgres, Redis} }

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// shell is what scripts of charts and of people use.
var shell = []string{"dash", "coreutils", "grep", "sed", "findutils", "procps", "hostname", "libc-bin", "base-files"}

// recipes returns the recipe of every image.
func recipes() map[string]recipe {
	all := []recipe{
		{name: Pause(), programs: []string{"pause"}, files: accounts(),
			config: v1.Config{Entrypoint: []string{"/usr/local/bin/pause"}, User: "65535:65535"}},
		{name: Skerry(), programs: []string{"skerry-kube", "skerry-operator"}, files: append(accounts(), authorities()...),
			config: v1.Config{User: fmt.Sprintf("%d:%[1]d", nonroot), Env: []string{"PATH=" + systemPath}}},
		{name: Demo(), programs: []string{"demo"}, files: append(accounts(), authorities()...),
			config: v1.Config{User: fmt.Sprintf("%d:%[1]d", nonroot), Entrypoint: []string{"/usr/local/bin/demo"}}},
		{name: Git(), programs: []string{"skerry-operator"}, files: append(accounts(), authorities()...),
			packages: append([]string{"git"}, shell...), drop: []string{"usr/bin/perl", "usr/bin/perl5.36.0"},
			config: v1.Config{User: fmt.Sprintf("%d:%[1]d", nonroot), Env: []string{"PATH=" + systemPath}}},
		postgres(), redis(),
	}
	byName := map[string]recipe{}
	for _, r := range all {
		byName[r.name] = r
	}
	return byName
}

// postgres is laid out like the official image as far as charts see it: user and group
// 999, PATH, PGDATA and the socket's folder.
func postgres() recipe {
	const id = 999
	return recipe{
		name: Postgres, official: true,
		packages: append([]string{"postgresql-15", "tzdata"}, shell...),
		// The just-in-time compiler is optional, and half of the size.
		drop: []string{"usr/lib/postgresql/15/lib/bitcode", "usr/lib/postgresql/15/lib/llvmjit.so", "usr/lib/llvm-14"},
		files: append(accounts(account{name: "postgres", id: id, home: "/var/lib/postgresql"}),
			entry{path: "var/lib/postgresql", mode: 0o755, uid: id},
			entry{path: "var/lib/postgresql/data", mode: 0o1777, uid: id},
			entry{path: "var/run/postgresql", mode: 0o3777, uid: id}),
		config: v1.Config{
			Env:    []string{"PATH=/usr/lib/postgresql/15/bin:" + systemPath, "PGDATA=/var/lib/postgresql/data", "LANG=C.UTF-8"},
			Cmd:    []string{"postgres"},
			Labels: map[string]string{LabelBuiltFrom: "debian"},
			User:   "postgres", StopSignal: "SIGINT",
		},
	}
}

func redis() recipe {
	const id = 999
	return recipe{
		name: Redis, official: true,
		packages: append([]string{"redis-server", "redis-tools"}, shell...),
		files: append(accounts(account{name: "redis", id: id, home: "/data"}),
			entry{path: "data", mode: 0o755, uid: id}),
		config: v1.Config{
			Env: []string{"PATH=" + systemPath, "LANG=C.UTF-8"}, Cmd: []string{"redis-server"}, WorkingDir: "/data",
			Labels: map[string]string{LabelBuiltFrom: "debian"},
			User:   "redis",
		},
	}
}

// account is a user and a group of the same name and number.
type account struct {
	name string
	id   int
	home string
}

// accounts are the entries of /etc/passwd and /etc/group, and the folders that any
// program expects.
func accounts(more ...account) []entry {
	all := append([]account{
		{name: "root", id: 0, home: "/root"},
		{name: "nobody", id: 65534, home: "/nonexistent"},
		{name: "nonroot", id: nonroot, home: "/home/nonroot"},
	}, more...)
	var passwd, group strings.Builder
	for _, a := range all {
		fmt.Fprintf(&passwd, "%s:x:%d:%d:%s:%s:/bin/sh\n", a.name, a.id, a.id, a.name, a.home)
		fmt.Fprintf(&group, "%s:x:%d:\n", a.name, a.id)
	}
	return []entry{
		{path: "etc/passwd", mode: 0o644, content: []byte(passwd.String())},
		{path: "etc/group", mode: 0o644, content: []byte(group.String())},
		{path: "home/nonroot", mode: 0o700, uid: nonroot},
		{path: "tmp", mode: 0o1777},
	}
}

// authorityBundle is where Debian and Go's crypto/x509 have the machine's authorities.
const authorityBundle = "/etc/ssl/certs/ca-certificates.crt"

// authorities is the machine's bundle of certificate authorities, when it has one.
func authorities() []entry {
	if _, err := os.Stat(authorityBundle); err != nil {
		return nil
	}
	return []entry{{path: strings.TrimPrefix(authorityBundle, "/"), mode: 0o644, source: authorityBundle}}
}

// MissingProgramError says that a program that goes into an image is not built.
type MissingProgramError struct{ Program, Dir string }

func (e *MissingProgramError) Error() string {
	return fmt.Sprintf("program %s is not in %s: build it with `make build`, or name the folder of the built programs with --bin-dir", e.Program, e.Dir)
}

// CheckPrograms returns a MissingProgramError for each program of the named images that
// is not in dir.
func CheckPrograms(dir string, images []string) error {
	var errs []error
	seen := map[string]bool{}
	for _, name := range images {
		for _, program := range recipes()[name].programs {
			_, err := os.Stat(filepath.Join(dir, program))
			if errors.Is(err, fs.ErrNotExist) && !seen[program] {
				errs = append(errs, &MissingProgramError{Program: program, Dir: dir})
			}
			seen[program] = true
		}
	}
	return errors.Join(errs...)
}
