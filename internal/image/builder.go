// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Builder makes images.
type Builder struct {
	// Programs is the folder of our own built programs.
	Programs string
	// Cache is the folder of what was built.
	Cache string
	// Registry has the official images; "none" for none.
	Registry string
}

// NoRegistry as Builder.Registry builds every image from packages.
const NoRegistry = "none"

// Result says how an image came to the node.
type Result struct {
	Name string
	// Source is "present" when the node had it, "registry", or "built".
	Source string
}

// record remembers, in the cache, what an image was last built or pulled as.
type record struct {
	Key    string `json:"key"`
	Digest string `json:"digest"`
	Pulled bool   `json:"pulled,omitempty"`
}

// Ensure brings the named image to the node unless it is there: from the registry when
// it has it, else built. Calls for different images may run at the same time.
func (b Builder) Ensure(ctx context.Context, node Node, name string) (Result, error) {
	r, ok := recipes()[name]
	if !ok {
		return Result{}, fmt.Errorf("there is no recipe for image %s", name)
	}
	key, err := b.key(r)
	if err != nil {
		return Result{}, err
	}
	present, err := node.Images(ctx)
	if err != nil {
		return Result{}, err
	}
	known, err := b.load(name)
	if err != nil {
		return Result{}, err
	}
	if digest, ok := present[name]; ok && isCurrent(r, known, digest, key) {
		return Result{Name: name, Source: "present"}, nil
	}
	if r.official && b.Registry != NoRegistry {
		result, err := b.fromRegistry(ctx, node, name, key)
		if err == nil || ctx.Err() != nil {
			return result, err
		}
	}
	img, err := b.build(ctx, r)
	if err != nil {
		return Result{}, fmt.Errorf("building image %s: %w", name, err)
	}
	return b.deliver(ctx, node, name, img, present[name], record{Key: key})
}

// fromRegistry brings an official image to the node. Whatever keeps it from that, the
// image can still be built.
func (b Builder) fromRegistry(ctx context.Context, node Node, name, key string) (Result, error) {
	img, err := pull(ctx, b.Registry, name)
	if err != nil {
		return Result{}, err
	}
	return b.deliver(ctx, node, name, img, "", record{Key: key, Pulled: true})
}

// isCurrent says whether the digest on the node is what would be brought there. An
// official image that we know nothing about was pulled by somebody, and stays.
func isCurrent(r recipe, known *record, digest, key string) bool {
	if known == nil {
		return r.official
	}
	return known.Digest == digest && (known.Key == key || known.Pulled)
}

// deliver imports the image, unless the node's digest says that it has just this one,
// and remembers it.
func (b Builder) deliver(ctx context.Context, node Node, name string, img v1.Image, has string, done record) (Result, error) {
	result := Result{Name: name, Source: "built"}
	if done.Pulled {
		result.Source = "registry"
	}
	digest, err := img.Digest()
	if err != nil {
		return result, err
	}
	done.Digest = digest.String()
	if done.Digest == has {
		result.Source = "present"
	} else if err := node.Import(ctx, name, img); err != nil {
		return result, err
	}
	return result, b.save(name, done)
}

// build makes an image of its packages, files and programs.
func (b Builder) build(ctx context.Context, r recipe) (v1.Image, error) {
	layers, err := b.layers(ctx, r)
	if err != nil {
		return nil, err
	}
	return assemble(r.config, layers...)
}

func (b Builder) layers(ctx context.Context, r recipe) ([]v1.Layer, error) {
	if err := b.check(r); err != nil {
		return nil, err
	}
	var layers []v1.Layer
	if len(r.packages) > 0 {
		base, err := b.packagesLayer(ctx, r)
		if err != nil {
			return nil, err
		}
		layers = append(layers, base)
	}
	parts := [][]entry{r.files}
	for _, program := range r.programs {
		parts = append(parts, []entry{{path: "usr/local/bin/" + program, mode: 0o755, source: filepath.Join(b.Programs, program)}})
	}
	for _, entries := range parts {
		layer, err := layerOf(entries)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	return layers, nil
}

func (b Builder) check(r recipe) error { return CheckPrograms(b.Programs, []string{r.name}) }

// key names all that goes into an image. Programs and other files of the machine count
// by their identity, size and time, so that no content has to be read for it.
func (b Builder) key(r recipe) (string, error) {
	hash := sha256.New()
	recipeText := fmt.Sprintf("%q %q %q %+v", r.name, r.packages, r.drop, r.config)
	io.WriteString(hash, recipeText)
	sources := []string{}
	for _, f := range r.files {
		fmt.Fprintf(hash, "%q %o %d %q %q", f.path, f.mode, f.uid, f.content, f.link)
		if f.source != "" {
			sources = append(sources, f.source)
		}
	}
	for _, program := range r.programs {
		sources = append(sources, filepath.Join(b.Programs, program))
	}
	if err := b.check(r); err != nil {
		return "", err
	}
	for _, path := range sources {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		inode := info.Sys().(*syscall.Stat_t).Ino
		fmt.Fprintf(hash, "%s %d %d %d", path, info.Size(), info.ModTime().UnixNano(), inode)
	}
	return hex.EncodeToString(hash.Sum(nil))[:32], nil
}

func (b Builder) recordFile(name string) string {
	return filepath.Join(b.Cache, strings.NewReplacer("/", "_", ":", "_").Replace(name)+".json")
}

func (b Builder) load(name string) (*record, error) {
	data, err := os.ReadFile(b.recordFile(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the image cache: %w", err)
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; remove it", b.recordFile(name), err)
	}
	return r, nil
}

func (b Builder) save(name string, r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replaceFile(b.recordFile(name), data)
}

// replaceFile writes a file of the cache as a whole.
func replaceFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
