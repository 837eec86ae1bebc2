// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecide(t *testing.T) {
	const file = "app.yaml"
	type files = map[string]string
	cases := map[string]struct {
		reason                    string
		desired, written, current files
		want                      plan
	}{
		"new":              {"a file that is nowhere is written", files{file: "a: 1\n"}, nil, nil, plan{write: files{file: "a: 1\n"}, written: files{file: "a: 1\n"}}},
		"same":             {"nothing to do", files{file: "a: 1\n"}, files{file: "a: 1\n"}, files{file: "a: 1\n"}, plan{written: files{file: "a: 1\n"}}},
		"update":           {"nobody touched it", files{file: "a: 2\n"}, files{file: "a: 1\n"}, files{file: "a: 1\n"}, plan{write: files{file: "a: 2\n"}, written: files{file: "a: 2\n"}}},
		"person edited":    {"a person's edit wins", files{file: "a: 1\n"}, files{file: "a: 1\n"}, files{file: "a: 9\n"}, plan{written: files{file: "a: 1\n"}, left: []string{"app.yaml (it was edited)"}}},
		"person deleted":   {"a deletion is an edit", files{file: "a: 2\n"}, files{file: "a: 1\n"}, nil, plan{written: files{file: "a: 1\n"}, left: []string{"app.yaml (it was deleted)"}}},
		"person was first": {"never written over", files{file: "a: 1\n"}, nil, files{file: "a: 9\n"}, plan{written: files{}, left: []string{"app.yaml (it was there before)"}}},
		"person did it":    {"the same content is adopted", files{file: "a: 1\n"}, nil, files{file: "a: 1\n"}, plan{written: files{file: "a: 1\n"}}},
		"both, apart": {"changes in different places merge",
			files{file: "a: 1\nb: 1\nc: 1\nd: 2\n"}, files{file: "a: 1\nb: 1\nc: 1\nd: 1\n"}, files{file: "a: 9\nb: 1\nc: 1\nd: 1\n"},
			plan{write: files{file: "a: 9\nb: 1\nc: 1\nd: 2\n"}, written: files{file: "a: 1\nb: 1\nc: 1\nd: 2\n"}}},
		"both, same line": {"the person's stays, and the base too, so that it is tried again",
			files{file: "a: 2\n"}, files{file: "a: 1\n"}, files{file: "a: 9\n"}, plan{written: files{file: "a: 1\n"}, conflicts: []string{file}}},
		"both, no YAML any more": {"lines that merge but do not parse are a conflict",
			files{file: "a:\n  x: 1\nb: 1\nc: 1\nd: 1\ne: [1\n]\n"}, files{file: "a:\n  x: 1\nb: 1\nc: 1\nd: 1\ne: [1]\n"}, files{file: "a: {\n  x: 1\nb: 1\nc: 1\nd: 1\ne: [1]\n"},
			plan{written: files{file: "a:\n  x: 1\nb: 1\nc: 1\nd: 1\ne: [1]\n"}, conflicts: []string{file}}},
		"no longer wanted":           {"ours is removed", nil, files{file: "a: 1\n"}, files{file: "a: 1\n"}, plan{remove: []string{file}, written: files{}}},
		"no longer wanted, edited":   {"a person's is not", nil, files{file: "a: 1\n"}, files{file: "a: 9\n"}, plan{written: files{}, left: []string{"app.yaml (it was edited)"}}},
		"no longer wanted, and gone": {"nothing to do", nil, files{file: "a: 1\n"}, nil, plan{written: files{}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.want.write == nil {
				c.want.write = files{}
			}
			got := decide(c.desired, c.written, c.current)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(plan{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestMerge3(t *testing.T) {
	cases := map[string]struct {
		base, ours, theirs, want string
		ok                       bool
	}{
		"only ours":           {"a\nb\n", "a\nB\n", "a\nb\n", "a\nB\n", true},
		"only theirs":         {"a\nb\n", "a\nb\n", "A\nb\n", "A\nb\n", true},
		"both the same":       {"a\nb\n", "a\nB\n", "a\nB\n", "a\nB\n", true},
		"apart":               {"a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n", "A\nb\nc\nD\n", true},
		"insert and append":   {"a\nb\nc\n", "0\na\nb\nc\n", "a\nb\nc\nd\n", "0\na\nb\nc\nd\n", true},
		"delete and change":   {"a\nb\nc\nd\ne\n", "a\nc\nd\ne\n", "a\nb\nc\nd\nE\n", "a\nc\nd\nE\n", true},
		"both append":         {"a\n", "a\nx\n", "a\ny\n", "", false},
		"both append alike":   {"a\n", "a\nx\n", "a\nx\n", "a\nx\n", true},
		"same line":           {"a\n", "b\n", "c\n", "", false},
		"touching lines":      {"a\nb\n", "A\nb\n", "a\nB\n", "", false},
		"one alike, one ours": {"a\nb\nc\nd\n", "A\nb\nc\nD\n", "A\nb\nc\nd\n", "A\nb\nc\nD\n", true},
		"no line end":         {"a\nb\nc", "A\nb\nc", "a\nb\nc\n", "A\nb\nc\n", true},
		"from nothing":        {"", "a\n", "b\n", "", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := merge3(c.base, c.ours, c.theirs)
			if ok != c.ok || got != c.want {
				t.Errorf("merge3 = %q, %t; want %q, %t", got, ok, c.want, c.ok)
			}
		})
	}
}

// FuzzMerge3: which side is called ours makes no difference, a side that did not change
// adds nothing, and no line comes from nowhere.
func FuzzMerge3(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nB\nc\n", "a\nb\nc\nd\n")
	f.Add("", "a", "b\n")
	f.Add("x\nx\nx\n", "x\nx\n", "x\nx\nx\nx\n")
	f.Fuzz(func(t *testing.T, base, ours, theirs string) {
		got, ok := merge3(base, ours, theirs)
		swapped, okSwapped := merge3(base, theirs, ours)
		if ok != okSwapped || got != swapped {
			t.Errorf("merge3(%q, %q, %q) = %q, %t, but swapped %q, %t", base, ours, theirs, got, ok, swapped, okSwapped)
		}
		if alone, ok := merge3(base, ours, base); !ok || alone != ours {
			t.Errorf("merge3(%q, %q, base) = %q, %t", base, ours, alone, ok)
		}
		known := map[string]bool{}
		for _, side := range []string{base, ours, theirs} {
			for _, l := range splitLines(side) {
				known[l] = true
			}
		}
		for _, l := range splitLines(got) {
			// A last line without its end may get another line behind it.
			if ok && !known[l] && strings.HasSuffix(base+ours+theirs, "\n") && strings.HasSuffix(base, "\n") {
				t.Errorf("merge3(%q, %q, %q): the line %q is new", base, ours, theirs, l)
			}
		}
	})
}

func TestValidPath(t *testing.T) {
	for file, want := range map[string]bool{
		"README.md": true, "oam/applications/application.yaml": true, ".github/workflows/ci.yaml": true,
		"": false, "/etc/passwd": false, "../x": false, "a/../b": false, "a//b": false, ".git/config": false, "a/.GIT/hooks/x": false, `a\b`: false, ".": false,
	} {
		if err := validPath(file); (err == nil) != want {
			t.Errorf("validPath(%q) = %v, want allowed=%t", file, err, want)
		}
	}
}
