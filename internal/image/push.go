// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PlatformImages are the images that the install chart and an application without an image of
// its own need in any cluster. ServiceImages are the official ones that the catalog's charts
// name; a cluster that cannot reach their registry needs them too.
func PlatformImages() []string { return []string{Skerry(), Git(), Demo()} }
func ServiceImages() []string  { return []string{Postgres, Redis} }

// Pushed says where an image is now.
type Pushed struct {
	// Name is the image's own name, Reference its name in the registry with the tag.
	Name      string `json:"name"`
	Reference string `json:"reference"`
	// Digest is of the manifest, as sha256:...
	Digest string `json:"digest"`
}

// RegistryError says that a registry did not take an image, and what can be done.
type RegistryError struct {
	Reference string
	Err       error
}

func (e *RegistryError) Error() string {
	return fmt.Sprintf("pushing %s: %v%s", e.Reference, e.Err, e.wayOut())
}

func (e *RegistryError) Unwrap() error { return e.Err }

func (e *RegistryError) wayOut() string {
	var refused *transport.Error
	switch {
	case errors.As(e.Err, &refused) && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden):
		return "\nlog in with a tool that writes ~/.docker/config.json (docker login, podman login --authfile ~/.docker/config.json), as an account that may write there"
	case strings.Contains(e.Err.Error(), "server gave HTTP response to HTTPS client"):
		return "\nthe registry speaks HTTP only: --plain-http allows that"
	}
	return ""
}

// Rename gives an image's name below a prefix REGISTRY[/PATH]: skerry.dev/NAME:TAG becomes
// PREFIX/NAME:TAG, and docker.io/library/NAME:TAG PREFIX/library/NAME:TAG.
func Rename(image, prefix string) string {
	_, path, _ := strings.Cut(image, "/")
	return strings.TrimSuffix(prefix, "/") + "/" + path
}

// Push builds the named image for this machine's processor and writes it to a registry below
// the prefix. Credentials are those of ~/.docker/config.json. What the registry has already
// is not sent again.
func (b Builder) Push(ctx context.Context, image, prefix string, plainHTTP bool) (Pushed, error) {
	done := Pushed{Name: image, Reference: Rename(image, prefix)}
	options := []name.Option{name.StrictValidation}
	if plainHTTP {
		options = append(options, name.Insecure)
	}
	reference, err := name.NewTag(done.Reference, options...)
	if err == nil && strings.Contains(prefix, "://") {
		err = errors.New("it is an address")
	}
	if err != nil {
		return done, fmt.Errorf("%q is no place for an image, write it as REGISTRY[/PATH]: %w", prefix, err)
	}
	img, err := b.portable(ctx, image)
	if err != nil {
		return done, err
	}
	if err := remote.Write(reference, img, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return done, &RegistryError{Reference: done.Reference, Err: err}
	}
	digest, err := img.Digest()
	if err != nil {
		return done, err
	}
	done.Digest = digest.String()
	return done, nil
}

// Save builds the named image and writes it as a tar of an OCI image layout to a file NAME-TAG.tar
// in the folder, which `ctr images import` and `docker load` read. It returns the file's path.
func (b Builder) Save(ctx context.Context, image, dir string) (string, error) {
	img, err := b.portable(ctx, image)
	if err != nil {
		return "", err
	}
	_, base, _ := strings.Cut(image, "/")
	path := filepath.Join(dir, strings.NewReplacer("/", "-", ":", "-").Replace(base)+".tar")
	file, err := os.CreateTemp(dir, ".image-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := writeArchive(file, image, img); err != nil {
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	if err := errors.Join(file.Chmod(0o644), file.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(file.Name(), path)
}

// portable builds an image with packed layers, for a way that is longer than a machine's own.
func (b Builder) portable(ctx context.Context, image string) (v1.Image, error) {
	r, ok := recipes()[image]
	if !ok {
		return nil, fmt.Errorf("there is no recipe for image %s", image)
	}
	plain, err := b.layers(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("building image %s: %w", image, err)
	}
	packed := make([]v1.Layer, 0, len(plain))
	for _, layer := range plain {
		l, err := tarball.LayerFromOpener(layer.Uncompressed, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestSpeed))
		if err != nil {
			return nil, fmt.Errorf("packing a layer of image %s: %w", image, err)
		}
		packed = append(packed, l)
	}
	return assemble(r.config, packed...)
}
