// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// entry is a file, folder or link of a layer.
type entry struct {
	path string
	mode int64
	uid  int
	// One of: the content, a file of the machine to copy, the target of a link;
	// none of them makes a folder.
	content []byte
	source  string
	link    string
}

// write adds the entry to a layer. Times are zero, so that the same input gives the
// same layer.
func (e entry) write(w *tar.Writer) error {
	h := &tar.Header{Name: e.path, Mode: e.mode, Uid: e.uid, Gid: e.uid, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	var content io.Reader
	switch {
	case e.link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
	case e.content != nil:
		h.Typeflag, h.Size, content = tar.TypeReg, int64(len(e.content)), bytes.NewReader(e.content)
	case e.source != "":
		file, err := os.Open(e.source)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		h.Typeflag, h.Size, content = tar.TypeReg, info.Size(), file
	default:
		h.Typeflag, h.Name = tar.TypeDir, e.path+"/"
	}
	if err := w.WriteHeader(h); err != nil {
		return fmt.Errorf("adding %s: %w", e.path, err)
	}
	if content == nil {
		return nil
	}
	if _, err := io.Copy(w, content); err != nil {
		return fmt.Errorf("adding %s: %w", e.path, err)
	}
	return nil
}

// layerOf makes a layer of the entries, in their order, with the folders above them.
// It is read when it is needed, so a program of 200 MB is never held in memory.
func layerOf(entries []entry) (v1.Layer, error) {
	return openLayer(func() (io.ReadCloser, error) {
		read, write := io.Pipe()
		go func() { write.CloseWithError(writeEntries(write, entries)) }()
		return read, nil
	})
}

// openLayer makes a layer of an uncompressed tar. It stays uncompressed: the way to
// the node is a pipe on the same machine, and packing takes longer than the way.
func openLayer(open func() (io.ReadCloser, error)) (v1.Layer, error) {
	content, err := open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	digest, size, err := v1.SHA256(content)
	if err != nil {
		return nil, fmt.Errorf("reading a layer: %w", err)
	}
	return &plainLayer{open: open, digest: digest, size: size}, nil
}

// plainLayer is a v1.Layer whose packed and unpacked forms are the same.
type plainLayer struct {
	open   func() (io.ReadCloser, error)
	digest v1.Hash
	size   int64
}

func (l *plainLayer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l *plainLayer) DiffID() (v1.Hash, error)             { return l.digest, nil }
func (l *plainLayer) Compressed() (io.ReadCloser, error)   { return l.open() }
func (l *plainLayer) Uncompressed() (io.ReadCloser, error) { return l.open() }
func (l *plainLayer) Size() (int64, error)                 { return l.size, nil }
func (l *plainLayer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }

func writeEntries(w io.Writer, entries []entry) error {
	archive := tar.NewWriter(w)
	made := map[string]bool{".": true, "/": true}
	for _, e := range entries {
		if err := writeParents(archive, path.Dir(e.path), made); err != nil {
			return err
		}
		made[e.path] = true
		if err := e.write(archive); err != nil {
			return err
		}
	}
	return archive.Close()
}

func writeParents(archive *tar.Writer, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := writeParents(archive, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return entry{path: dir, mode: 0o755}.write(archive)
}

// assemble makes an image of layers for this machine's processor.
func assemble(config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(img, file)
}
