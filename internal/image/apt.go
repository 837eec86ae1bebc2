// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// packagesKey names the extracted packages of a recipe.
func packagesKey(r recipe) string {
	hash := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", r.packages, r.drop, droppedAlways))
	return hex.EncodeToString(hash[:8])
}

// debianCodename is the release of this machine, as os-release(5) names it.
func debianCodename() (string, error) {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("finding out this machine's Debian release: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(value, `"`), nil
		}
	}
	return "", fmt.Errorf("/etc/os-release has no VERSION_CODENAME: images can be built from packages on Debian only; make a registry reachable")
}

// machineSources are the apt sources of this machine that belong to its release, as one
// file of the format sources.list(5), one-line style.
func machineSources(codename string) (string, error) {
	files := []string{"/etc/apt/sources.list"}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, err := filepath.Glob(filepath.Join("/etc/apt/sources.list.d", pattern))
		if err != nil {
			return "", err
		}
		files = append(files, more...)
	}
	var lines []string
	for _, path := range files {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("reading the apt sources: %w", err)
		}
		if strings.HasSuffix(path, ".sources") {
			lines = append(lines, stanzas(string(data), codename)...)
		} else {
			lines = append(lines, oneLine(string(data), codename)...)
		}
	}
	if len(lines) == 0 {
		return "", fmt.Errorf("the apt sources of this machine (/etc/apt) name no archive of %s", codename)
	}
	return strings.Join(lines, "\n") + "\n", nil
}

// ofRelease says whether a suite is of a release: bookworm, bookworm-updates, ...
func ofRelease(suite, codename string) bool {
	return suite == codename || strings.HasPrefix(suite, codename+"-") || strings.HasPrefix(suite, codename+"/")
}

// oneLine picks the lines "deb [options] URI SUITE COMPONENT..." of a release.
func oneLine(text, codename string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "deb" {
			continue
		}
		rest := fields[1:]
		if len(rest) > 0 && strings.HasPrefix(rest[0], "[") {
			end := slices.IndexFunc(rest, func(f string) bool { return strings.HasSuffix(f, "]") })
			rest = rest[end+1:]
		}
		if len(rest) >= 2 && ofRelease(rest[1], codename) {
			lines = append(lines, strings.Join(fields, " "))
		}
	}
	return lines
}

// stanzas turns the stanzas of a release in deb822 style into lines.
func stanzas(text, codename string) []string {
	var lines []string
	for stanza := range strings.SplitSeq(text, "\n\n") {
		f := stanzaFields(stanza)
		if !slices.Contains(strings.Fields(f["types"]), "deb") || strings.EqualFold(f["enabled"], "no") {
			continue
		}
		options := ""
		if key := f["signed-by"]; strings.HasPrefix(key, "/") {
			options = "[signed-by=" + key + "] "
		}
		for _, uri := range strings.Fields(f["uris"]) {
			for _, suite := range strings.Fields(f["suites"]) {
				if ofRelease(suite, codename) {
					lines = append(lines, fmt.Sprintf("deb %s%s %s %s", options, uri, suite, f["components"]))
				}
			}
		}
	}
	return lines
}

// stanzaFields reads "Name: value" lines; names are in lower case.
func stanzaFields(stanza string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(stanza) {
		if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
			fields[strings.ToLower(name)] = strings.TrimSpace(value)
		}
	}
	return fields
}

// proxyOptions are the settings of the machine's apt that say how to reach an archive.
// mmdebstrap reads the sources that it is given, but not apt's settings.
func proxyOptions(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "apt-config", "dump", "Acquire").Output()
	if err != nil {
		return nil
	}
	var options []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		name, _, _ := strings.Cut(line, " ")
		if strings.Contains(strings.ToLower(name), "proxy") && !strings.Contains(line, `""`) {
			options = append(options, strings.TrimSuffix(line, ";"))
		}
	}
	return options
}
