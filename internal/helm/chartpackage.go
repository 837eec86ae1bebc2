// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// chartPackage is a chart's content, addressed by its digest.
type chartPackage struct {
	Name, Version string
	// Digest of the content, as "sha256:" and hexadecimal digits.
	Digest string
	files  []*archive.BufferedFile
}

// Load parses the chart anew: Helm changes a chart while it renders it, so a parsed
// one must not be shared.
func (p *chartPackage) Load() (*chartv2.Chart, error) {
	chart, err := loader.LoadFiles(p.files)
	if err != nil {
		return nil, refusef("chart %s %s (%s) is broken: %v", p.Name, p.Version, p.Digest, err)
	}
	return chart, nil
}

// size is how much memory the package holds, in bytes.
func (p *chartPackage) size() int {
	n := 0
	for _, f := range p.files {
		n += len(f.Name) + len(f.Data)
	}
	return n
}

// packageFromArchive reads a .tgz.
func packageFromArchive(data []byte) (*chartPackage, error) {
	files, err := archive.LoadArchiveFiles(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading the chart package: %w", err)
	}
	sum := sha256.Sum256(data)
	return newPackage(files, "sha256:"+hex.EncodeToString(sum[:]))
}

// packageFromFS reads a chart's folder, its images by default from a registry when one is
// given (else from the chart's own); its digest is over all paths and contents.
func packageFromFS(root fs.FS, imageRegistry string) (*chartPackage, error) {
	var files []*archive.BufferedFile
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := readFile(root, path, imageRegistry)
		files = append(files, &archive.BufferedFile{Name: path, Data: data})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the chart's folder: %w", err)
	}
	slices.SortFunc(files, func(a, b *archive.BufferedFile) int {
		return bytes.Compare([]byte(a.Name), []byte(b.Name))
	})
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%d %s %d\n", len(f.Name), f.Name, len(f.Data))
		sum.Write(f.Data)
	}
	return newPackage(files, "sha256:"+hex.EncodeToString(sum.Sum(nil)))
}

// newPackage takes name and version from Chart.yaml.
func newPackage(files []*archive.BufferedFile, digest string) (*chartPackage, error) {
	chart, err := loader.LoadFiles(files)
	if err != nil {
		return nil, fmt.Errorf("reading the chart: %w", err)
	}
	if chart.Metadata == nil {
		return nil, fmt.Errorf("reading the chart: Chart.yaml is missing")
	}
	return &chartPackage{Name: chart.Metadata.Name, Version: chart.Metadata.Version, Digest: digest, files: files}, nil
}
