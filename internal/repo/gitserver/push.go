// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// zeroHash stands for a reference that does not exist, as in Git.
const zeroHash = "0000000000000000000000000000000000000000"

// maxEventCommits is how many commits one event carries, newest first.
const maxEventCommits = 20

// refChange is one reference that a push moved.
type refChange struct{ ref, before, after string }

// references returns what branches and tags point at.
func (s *Server) references(ctx context.Context, id repoID) (map[string]string, error) {
	out, err := s.run(ctx, s.dir(id), "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		if hash, ref, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			refs[ref] = hash
		}
	}
	return refs, nil
}

// changes lists what differs, in the order of names.
func changes(before, after map[string]string) []refChange {
	var out []refChange
	for ref, hash := range after {
		if old, ok := before[ref]; !ok {
			out = append(out, refChange{ref, zeroHash, hash})
		} else if old != hash {
			out = append(out, refChange{ref, old, hash})
		}
	}
	for ref, hash := range before {
		if _, ok := after[ref]; !ok {
			out = append(out, refChange{ref, hash, zeroHash})
		}
	}
	slices.SortFunc(out, func(a, b refChange) int { return strings.Compare(a.ref, b.ref) })
	return out
}

// PushEvent is the part of GitHub's push payload that receivers read.
// Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
type PushEvent struct {
	Ref        string         `json:"ref"`
	Before     string         `json:"before"`
	After      string         `json:"after"`
	Created    bool           `json:"created"`
	Deleted    bool           `json:"deleted"`
	Forced     bool           `json:"forced"`
	Repository PushRepository `json:"repository"`
	Pusher     Person         `json:"pusher"`
	HeadCommit *Commit        `json:"head_commit"`
	Commits    []Commit       `json:"commits"`
}

// PushRepository says which repository was pushed to.
type PushRepository struct {
	Name          string `json:"name"`
	FullName      string `json:"full_name"`
	Private       bool   `json:"private"`
	HTMLURL       string `json:"html_url"`
	CloneURL      string `json:"clone_url"`
	DefaultBranch string `json:"default_branch"`
}

// Commit of a push.
type Commit struct {
	ID        string    `json:"id"`
	Message   string    `json:"message"`
	Timestamp time.Time `json:"timestamp"`
	Author    Person    `json:"author"`
}

// Person who pushed or wrote.
type Person struct {
	Name  string `json:"name"`
	Email string `json:"email,omitempty"`
}

// pushEvent describes one moved reference. What the history cannot tell is left out
// rather than holding the event back.
func (s *Server) pushEvent(ctx context.Context, id repoID, m Metadata, c refChange, pusher string) PushEvent {
	e := PushEvent{
		Ref: c.ref, Before: c.before, After: c.after,
		Created: c.before == zeroHash, Deleted: c.after == zeroHash,
		Repository: PushRepository{
			Name: id.Name, FullName: id.String(), Private: m.Visibility != VisibilityPublic,
			HTMLURL: strings.TrimSuffix(m.CloneURL, ".git"), CloneURL: m.CloneURL, DefaultBranch: defaultBranch,
		},
		Pusher:  Person{Name: pusher},
		Commits: []Commit{},
	}
	if e.Deleted {
		return e
	}
	span := c.after
	if !e.Created {
		span = c.before + ".." + c.after
		base, err := s.run(ctx, s.dir(id), "merge-base", c.before, c.after)
		e.Forced = err != nil || strings.TrimSpace(base) != c.before
	}
	commits, err := s.log(ctx, id, span, maxEventCommits)
	if err != nil {
		s.opts.Log.Error(err, "reading the commits of a push", "repository", id.String())
		return e
	}
	e.Commits = commits
	if len(commits) > 0 {
		e.HeadCommit = &commits[0]
	}
	return e
}

// log reads commits, newest first. Fields are separated by the unit separator, records
// by the record separator, which no author's name holds.
func (s *Server) log(ctx context.Context, id repoID, span string, most int) ([]Commit, error) {
	out, err := s.run(ctx, s.dir(id), "log", "-n", strconv.Itoa(most),
		"--format=%H%x1f%an%x1f%ae%x1f%aI%x1f%B%x1e", "--end-of-options", span, "--")
	if err != nil {
		return nil, err
	}
	commits := []Commit{}
	for record := range strings.SplitSeq(strings.TrimSuffix(out, "\x1e\n"), "\x1e\n") {
		f := strings.SplitN(record, "\x1f", 5)
		if len(f) != 5 {
			continue
		}
		when, err := time.Parse(time.RFC3339, f[3])
		if err != nil {
			return nil, fmt.Errorf("reading the date of commit %s: %w", f[0], err)
		}
		commits = append(commits, Commit{ID: f[0], Author: Person{Name: f[1], Email: f[2]}, Timestamp: when, Message: strings.TrimSpace(f[4])})
	}
	return commits, nil
}
