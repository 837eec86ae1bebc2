// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// plan is what to do with a repository's files.
type plan struct {
	// write is path to content, remove are paths: one commit.
	write  map[string]string
	remove []string
	// written is what the platform will have written last when the commit is made.
	written map[string]string
	// left are files that belong to a person now, each with the reason; conflicts are
	// those where the platform's change could not be merged into the person's.
	left, conflicts []string
}

// empty reports whether there is nothing to commit.
func (p plan) empty() bool { return len(p.write) == 0 && len(p.remove) == 0 }

// decide compares, for each path, what the platform wants now (desired), what it wrote last
// (written) and what is in the repository (current). A person's edit wins: a file that
// is not as the platform left it is merged when both changed it, and left alone otherwise.
func decide(desired, written, current map[string]string) plan {
	p := plan{write: map[string]string{}, written: map[string]string{}}
	for _, file := range slices.Sorted(maps.Keys(desired)) {
		want := desired[file]
		base, wrote := written[file]
		have, exists := current[file]
		p.written[file] = want
		switch {
		case exists && have == want:
		case !exists && !wrote, exists && wrote && have == base:
			p.write[file] = want
		case !wrote:
			delete(p.written, file)
			p.left = append(p.left, file+" (it was there before)")
		case !exists:
			p.written[file] = base
			p.left = append(p.left, file+" (it was deleted)")
		case want == base:
			p.left = append(p.left, file+" (it was edited)")
		default:
			if merged, ok := merge3(base, want, have); ok && readable(file, merged) {
				p.write[file] = merged
			} else {
				p.written[file] = base
				p.conflicts = append(p.conflicts, file)
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(written)) {
		if _, wanted := desired[file]; wanted {
			continue
		}
		switch have, exists := current[file]; {
		case exists && have == written[file]:
			p.remove = append(p.remove, file)
		case exists:
			p.left = append(p.left, file+" (it was edited)")
		}
	}
	return p
}

// readable reports whether a merged file can still be parsed, when it is YAML: lines that merge
// cleanly need not make a document.
func readable(file, content string) bool {
	if ext := path.Ext(file); ext != ".yaml" && ext != ".yml" {
		return true
	}
	docs := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(content)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return true
		}
		var v any
		if err != nil || yaml.Unmarshal(doc, &v) != nil {
			return false
		}
	}
}

// validPath checks a path of spec.files.
func validPath(file string) error {
	if file == "" || path.IsAbs(file) || path.Clean(file) != file || strings.HasPrefix(file, "../") || file == "." || file == ".." ||
		strings.ContainsAny(file, "\\\x00") {
		return fmt.Errorf("spec.files[%q]: the path must be relative and plain, like oam/applications/application.yaml", file)
	}
	for part := range strings.SplitSeq(file, "/") {
		if strings.EqualFold(part, ".git") {
			return fmt.Errorf("spec.files[%q]: Git keeps .git to itself", file)
		}
	}
	return nil
}

// message is the commit's.
func (p plan) message() string {
	names := slices.Sorted(maps.Keys(p.write))
	names = append(names, p.remove...)
	switch {
	case len(names) == 1:
		return "Update " + names[0]
	case len(names) > 10:
		return fmt.Sprintf("Update %d files", len(names))
	}
	return "Update files of the platform\n\n" + strings.Join(names, "\n")
}

// hashes are the Git blob hashes of files.
func hashes(files map[string]string) map[string]string {
	if len(files) == 0 {
		return nil
	}
	out := make(map[string]string, len(files))
	for file, content := range files {
		out[file] = blobHash(content)
	}
	return out
}
