// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/storer"
)

// A pack over the limit is cut off, and the message says so.
func TestAPackIsBounded(t *testing.T) {
	store, done, err := newStorage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	bounded, ok := store.(*boundedStorage)
	if !ok {
		t.Fatalf("the storage is a %T", store)
	}
	bounded.most = 10
	var writer storer.PackfileWriter = bounded
	w, err := writer.PackfileWriter()
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	_, err = w.Write([]byte{0})
	if !errors.Is(err, errTooLarge) {
		t.Errorf("error %v, want %v", err, errTooLarge)
	}
	if told := (repository{url: "http://git/x.git"}).explain(err); !strings.Contains(told.Error(), "more than 256 MiB") {
		t.Errorf("told %q", told)
	}
}

func TestPatienceGrows(t *testing.T) {
	var p patience
	var limits []string
	for range 6 {
		limits = append(limits, p.limit().String())
		p.grow()
	}
	if got := strings.Join(limits, " "); got != "2s 4s 8s 16s 30s 30s" {
		t.Errorf("limits %s", got)
	}
}
