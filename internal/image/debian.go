// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// droppedAlways are parts of packages that no service reads.
var droppedAlways = []string{
	"usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/bug",
	"usr/share/perl", "usr/share/perl5", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/aarch64-linux-gnu/perl",
	"usr/lib/x86_64-linux-gnu/libLLVM-14.so.1", "usr/lib/aarch64-linux-gnu/libLLVM-14.so.1",
	"usr/lib/x86_64-linux-gnu/libz3.so.4", "usr/lib/aarch64-linux-gnu/libz3.so.4",
	"var/cache", "var/lib/apt", "var/lib/dpkg", "dev", "proc", "sys",
}

// cancelTime is how long mmdebstrap may take to tidy up when it is broken off.
const cancelTime = 15 * time.Second

// packagesLayer is the layer of the recipe's packages, from the cache or extracted now.
func (b Builder) packagesLayer(ctx context.Context, r recipe) (v1.Layer, error) {
	path := filepath.Join(b.Cache, "packages-"+packagesKey(r)+".tar")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := extract(ctx, r, path); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	return openLayer(func() (io.ReadCloser, error) { return os.Open(path) })
}

// extract runs mmdebstrap and keeps what is wanted of its tar in the file at to.
func extract(ctx context.Context, r recipe, to string) error {
	codename, err := debianCodename()
	if err != nil {
		return err
	}
	sources, err := machineSources(codename)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(to), ".packages-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	args := []string{"--quiet", "--format=tar", "--variant=extract", "--include=" + strings.Join(r.packages, ",")}
	for _, option := range proxyOptions(ctx) {
		args = append(args, "--aptopt="+option)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, codename, "-", "-")...)
	// Killed, it would leave its folders in /tmp.
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(unix.SIGTERM) }, cancelTime
	cmd.Stdin = strings.NewReader(sources)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	tarball, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting mmdebstrap: %w", err)
	}
	filterErr := filterTar(out, tarball, append(droppedAlways, r.drop...))
	if filterErr != nil {
		// Lets mmdebstrap end instead of writing on.
		tarball.Close()
	}
	if err := cmd.Wait(); err != nil {
		return &PackagesError{Packages: r.packages, Codename: codename, Output: lastLines(problems.String(), 6), Err: err}
	}
	if filterErr != nil {
		return fmt.Errorf("reading the packages: %w", filterErr)
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}

// PackagesError says that packages could not be extracted.
type PackagesError struct {
	Packages []string
	Codename string
	Output   string
	Err      error
}

func (e *PackagesError) Error() string {
	return fmt.Sprintf("extracting %s from the apt sources of this machine for %s: %v: %s\nno registry answered either; check `apt-get update`, or make a registry reachable",
		strings.Join(e.Packages, ", "), e.Codename, e.Err, e.Output)
}

func (e *PackagesError) Unwrap() error { return e.Err }

// filterTar copies a tar without the dropped paths. Hard links to dropped files go too.
func filterTar(w io.Writer, r io.Reader, drop []string) error {
	in, out := tar.NewReader(r), tar.NewWriter(w)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean(h.Name), "/")
		target := strings.TrimPrefix(path.Clean(h.Linkname), "/")
		if below(name, drop) || (h.Typeflag == tar.TypeLink && below(target, drop)) {
			continue
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
}

// below says whether a path is one of the folders or below one.
func below(name string, folders []string) bool {
	for _, f := range folders {
		if name == f || strings.HasPrefix(name, f+"/") {
			return true
		}
	}
	return false
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
