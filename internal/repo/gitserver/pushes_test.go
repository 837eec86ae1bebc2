// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/skerry-platform/skerry/internal/repo/gitserver"
)

func TestLargePushesArriveInChunksAndAreLimited(t *testing.T) {
	s := start(t, 0, func(o *gitserver.Options) { o.MaxPushBytes = 8 << 20 })
	repo := s.create("skerry", "big", "private")
	noise := make([]byte, 12<<20)
	_, _ = rand.Read(noise)
	url := s.as("skerry/big", "x", repo.WriteToken)

	work := s.commit(url, "fits", noise[:4<<20])
	s.git(work, "push", "--quiet", "origin", "HEAD:main")
	s.event()

	work = s.commit(url, "toolarge", noise)
	if out, err := s.tryGit(work, "push", "--quiet", "origin", "HEAD:main"); err == nil {
		t.Errorf("a push of 12 MiB passed the limit of 8 MiB:\n%s", out)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	s.git(".", "clone", "--quiet", url, clone)
	if got, _ := os.ReadFile(filepath.Join(clone, "fits")); !bytes.Equal(got, noise[:4<<20]) {
		t.Error("the file that fitted came back different")
	}
	if _, err := os.Stat(filepath.Join(clone, "toolarge")); !os.IsNotExist(err) {
		t.Errorf("the refused file is in the repository: %v", err)
	}
}

// A repository that is full takes no more, and can still be read; the others go on.
func TestAFullRepositoryTakesNoMore(t *testing.T) {
	s := start(t, 0, func(o *gitserver.Options) { o.MaxRepositoryBytes = 1 << 20 })
	noise := make([]byte, 2<<20)
	_, _ = rand.Read(noise)
	full, other := s.create("skerry", "full", "private"), s.create("skerry", "other", "private")
	url := s.as("skerry/full", "x", full.WriteToken)
	work := s.commit(url, "first", noise)
	s.git(work, "push", "--quiet", "origin", "HEAD:main")
	s.event()
	work = s.commit(url, "second", []byte("small"))
	if out, err := s.tryGit(work, "push", "--quiet", "origin", "HEAD:main"); err == nil || !strings.Contains(out, "507") {
		t.Errorf("the push to a full repository: %v\n%s", err, out)
	}
	work = s.commit(s.as("skerry/other", "x", other.WriteToken), "first", []byte("small"))
	s.git(work, "push", "--quiet", "origin", "HEAD:main")
}

// Several people push to one branch at the same moment: one of them wins, the others are told, and there is
// one event for what happened.
func TestPushesAtTheSameMoment(t *testing.T) {
	const people = 4
	s := start(t, 0)
	repo := s.create("skerry", "busy", "private")
	url := s.as("skerry/busy", "x", repo.WriteToken)
	work := make([]string, people)
	for i := range work {
		work[i] = s.commit(url, fmt.Sprintf("file-%d", i), []byte("x"))
	}
	won := make(chan int, people)
	var pushes sync.WaitGroup
	for i, dir := range work {
		pushes.Go(func() {
			if _, err := s.tryGit(dir, "push", "--quiet", "origin", "HEAD:main"); err == nil {
				won <- i
			}
		})
	}
	pushes.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of %d pushes of a first commit were taken, want one", len(won), people)
	}
	head := s.git(work[<-won], "rev-parse", "HEAD")
	if e := s.event(); e.After != head {
		t.Errorf("the event tells of %s, want %s", e.After, head)
	}
}

func TestPushEventIsSentUntilTaken(t *testing.T) {
	s := start(t, 3)
	repo := s.create("skerry", "one", "private")
	work := s.commit(s.as("skerry/one", "x", repo.WriteToken), "f", []byte("1"))
	s.git(work, "push", "--quiet", "origin", "HEAD:main")
	if e := s.event(); e.Ref != "refs/heads/main" {
		t.Errorf("event for %s, want refs/heads/main", e.Ref)
	}
}
