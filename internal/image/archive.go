// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// annotationName is where containerd's importer looks for an image's full name
// (github.com/containerd/containerd/images, AnnotationImageName).
const annotationName = "io.containerd.image.name"

// writeArchive writes an image under a name as a tar of an OCI image layout
// (image-layout.md of the OCI image specification).
func writeArchive(w io.Writer, name string, img v1.Image) error {
	archive := tar.NewWriter(w)
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	index, err := indexOf(name, img)
	if err != nil {
		return err
	}
	for _, blob := range []struct {
		name    string
		content []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", index},
		{"", manifest},
		{"", config},
	} {
		if blob.name == "" {
			hash, _, err := v1.SHA256(bytes.NewReader(blob.content))
			if err != nil {
				return err
			}
			blob.name = blobPath(hash)
		}
		if err := addFile(archive, blob.name, int64(len(blob.content)), bytes.NewReader(blob.content)); err != nil {
			return err
		}
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		if err := addLayer(archive, layer); err != nil {
			return err
		}
	}
	return archive.Close()
}

func indexOf(name string, img v1.Image) ([]byte, error) {
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	size, err := img.Size()
	if err != nil {
		return nil, err
	}
	mediaType, err := img.MediaType()
	if err != nil {
		return nil, err
	}
	return json.Marshal(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType: mediaType, Digest: digest, Size: size,
			Annotations: map[string]string{annotationName: name},
		}},
	})
}

func addLayer(archive *tar.Writer, layer v1.Layer) error {
	digest, err := layer.Digest()
	if err != nil {
		return err
	}
	size, err := layer.Size()
	if err != nil {
		return err
	}
	content, err := layer.Compressed()
	if err != nil {
		return fmt.Errorf("opening layer %s: %w", digest, err)
	}
	defer content.Close()
	return addFile(archive, blobPath(digest), size, content)
}

func blobPath(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }

func addFile(archive *tar.Writer, name string, size int64, content io.Reader) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(archive, content); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
