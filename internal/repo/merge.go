// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"slices"
	"strings"
)

// mostCells bounds the table of one comparison (lines of one side times lines of the
// other, after the equal ends are cut off): 16 MiB of memory.
const mostCells = 4 << 20

// hunk replaces the base's lines [start, end) with lines.
type hunk struct {
	start, end int
	lines      []string
}

// merge3 merges two versions of a text that both grew from base, line by line, as
// diff3 does. ok is false when both changed the same place, or places that touch, in
// different ways, or when the texts are too large to compare.
func merge3(base, ours, theirs string) (merged string, ok bool) {
	switch {
	case ours == theirs, theirs == base:
		return ours, true
	case ours == base:
		return theirs, true
	}
	lines := splitLines(base)
	a, okA := diff(lines, splitLines(ours))
	b, okB := diff(lines, splitLines(theirs))
	if !okA || !okB {
		return "", false
	}
	var out strings.Builder
	at := 0
	take := func(h hunk) {
		for _, l := range lines[at:h.start] {
			out.WriteString(l)
		}
		for _, l := range h.lines {
			out.WriteString(l)
		}
		at = h.end
	}
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].end < b[0].start:
			take(a[0])
			a = a[1:]
		case len(a) == 0 || b[0].end < a[0].start:
			take(b[0])
			b = b[1:]
		case a[0].start == b[0].start && a[0].end == b[0].end && slices.Equal(a[0].lines, b[0].lines):
			take(a[0])
			a, b = a[1:], b[1:]
		default:
			return "", false
		}
	}
	take(hunk{start: len(lines), end: len(lines)})
	return out.String(), true
}

// splitLines keeps the line ends, so that joining gives the text back.
func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return slices.DeleteFunc(strings.SplitAfter(s, "\n"), func(l string) bool { return l == "" })
}

// diff returns the hunks that turn a into b, in order, none touching another. It finds a
// longest common subsequence. ok is false when the texts are too large.
func diff(a, b []string) (hunks []hunk, ok bool) {
	prefix := 0
	for prefix < len(a) && prefix < len(b) && a[prefix] == b[prefix] {
		prefix++
	}
	x, y := a[prefix:], b[prefix:]
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	if (len(x)+1)*(len(y)+1) > mostCells {
		return nil, false
	}
	common := commonLengths(x, y)
	width := len(y) + 1
	var open *hunk
	flush := func() {
		if open != nil {
			hunks = append(hunks, *open)
			open = nil
		}
	}
	change := func(at int) {
		if open == nil {
			open = &hunk{start: prefix + at, end: prefix + at}
		}
	}
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			flush()
			i, j = i+1, j+1
		case i < len(x) && (j == len(y) || common[(i+1)*width+j] >= common[i*width+j+1]):
			change(i)
			open.end++
			i++
		default:
			change(i)
			open.lines = append(open.lines, y[j])
			j++
		}
	}
	flush()
	return hunks, true
}

// commonLengths is the table of the longest common subsequences of all pairs of ends:
// element i*(len(y)+1)+j is that of x[i:] and y[j:].
func commonLengths(x, y []string) []int32 {
	width := len(y) + 1
	table := make([]int32, (len(x)+1)*width)
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				table[i*width+j] = table[(i+1)*width+j+1] + 1
			} else {
				table[i*width+j] = max(table[(i+1)*width+j], table[i*width+j+1])
			}
		}
	}
	return table
}
