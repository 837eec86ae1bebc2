// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// mostVersionsShown keeps a message about a wrong version readable.
const mostVersionsShown = 12

// pickVersion chooses among the versions there are: the exact one; else the newest in
// the wanted range; else, when nothing is wanted, the one that is installed already
// if it is still there, and the newest that is no pre-release if it is not.
func pickVersion(have []string, want, installed string) (string, bool) {
	if want == "" && installed != "" && slices.Contains(have, installed) {
		return installed, true
	}
	if want != "" && slices.Contains(have, want) {
		return want, true
	}
	if want == "" {
		want = "*"
	}
	constraint, err := semver.NewConstraint(want)
	if err != nil {
		return "", false
	}
	var best *semver.Version
	for _, v := range have {
		parsed, err := semver.NewVersion(v)
		if err == nil && constraint.Check(parsed) && (best == nil || parsed.GreaterThan(best)) {
			best = parsed
		}
	}
	if best == nil {
		return "", false
	}
	return best.Original(), true
}

// mayBe reports whether an installed version is one that the source may mean. Of a package with an address
// of its own nobody knows until it is read.
func mayBe(src chartSource, installed string) bool {
	if src.Kind == sourceArchive {
		return installed != ""
	}
	_, ok := pickVersion([]string{installed}, src.Version, installed)
	return ok && installed != ""
}

// newestFirst sorts versions; those that are none come last, in alphabetical order.
func newestFirst(versions []string) []string {
	sorted := slices.Clone(versions)
	slices.SortFunc(sorted, func(a, b string) int {
		va, errA := semver.NewVersion(a)
		vb, errB := semver.NewVersion(b)
		switch {
		case errA == nil && errB == nil:
			return vb.Compare(va)
		case errA == nil:
			return -1
		case errB == nil:
			return 1
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(sorted)
}

// noSuchChart says which charts a repository has instead.
func noSuchChart(src chartSource, charts []string) error {
	return refusef("there is no chart %q in %s; the charts there are: %s; correct spec.forProvider.chart.name",
		src.Name, src.Shown, listed(slices.Sorted(slices.Values(charts))))
}

// noSuchVersion says which versions a repository has instead.
func noSuchVersion(src chartSource, versions []string) error {
	return refusef("chart %s has no version %q in %s; the versions there are: %s; correct spec.forProvider.chart.version",
		src.Name, src.Version, src.Shown, listed(newestFirst(versions)))
}

// listed joins the first names.
func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	if len(names) > mostVersionsShown {
		return strings.Join(names[:mostVersionsShown], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}
