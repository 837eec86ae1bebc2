// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package script

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/skerry-platform/skerry/internal/cli"
)

// What the README shows is true: its documents are claims, and its commands and flags are there.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	skerry := func(in string, args ...string) (int, string) {
		var out, errs bytes.Buffer
		p := cli.Program{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(in), Out: &out, ErrOut: &errs}, Getenv: func(string) string { return "" }}
		return p.Main(t.Context(), append([]string{"skerry"}, args...)), errs.String()
	}
	documents, commands := 0, 0
	for _, block := range regexp.MustCompile("(?s)```(yaml)?\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if block[1] == "yaml" {
			documents++
			if code, says := skerry(block[2], "create", "-f", "-", "--dry-run"); code != 0 {
				t.Errorf("%s in:\n%s", says, block[2])
			}
			continue
		}
		for line := range strings.Lines(block[2]) {
			line, _, _ = strings.Cut(line, " #")
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "skerry" {
				continue
			}
			commands++
			ours, _, _ := strings.Cut(strings.Join(words[1:], " "), " -- ")
			if code, says := skerry("", append(strings.Fields(ours), "--help")...); code != 0 {
				t.Errorf("%s: %s", line, says)
			}
		}
	}
	if documents < 2 || commands < 8 {
		t.Errorf("only %d documents and %d commands are found: is the README written in another way?", documents, commands)
	}
}
