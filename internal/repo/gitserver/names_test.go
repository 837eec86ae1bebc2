// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzRepoID: whatever passes the check is a folder of two elements inside the data folder.
func FuzzRepoID(f *testing.F) {
	for _, s := range [][2]string{{"skerry", "shop"}, {"..", "x"}, {"a", "../b"}, {"a", "b.git"}, {"api", "v1"}, {"a", "b\x00"}, {"-", "-"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, owner, name string) {
		id, err := newRepoID(owner, name)
		if err != nil {
			return
		}
		path := filepath.Join("/data", id.path())
		rel, err := filepath.Rel("/data", path)
		if err != nil || strings.Count(rel, "/") != 1 || strings.HasPrefix(rel, ".") || !strings.HasSuffix(rel, ".git") {
			t.Errorf("newRepoID(%q, %q) lies at %s", owner, name, path)
		}
	})
}

func TestChanges(t *testing.T) {
	before := map[string]string{"refs/heads/main": "1", "refs/heads/old": "2", "refs/tags/v1": "3"}
	after := map[string]string{"refs/heads/main": "4", "refs/heads/new": "5", "refs/tags/v1": "3"}
	want := []refChange{
		{"refs/heads/main", "1", "4"}, {"refs/heads/new", zeroHash, "5"}, {"refs/heads/old", "2", zeroHash},
	}
	if diff := cmp.Diff(want, changes(before, after), cmp.AllowUnexported(refChange{})); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
