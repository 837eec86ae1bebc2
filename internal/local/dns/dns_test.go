// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCorefileProblemsAreNamed(t *testing.T) {
	cases := map[string]struct{ corefile, want string }{
		"UnknownPlugin": {".:0 {\n  teleport\n}\n", "teleport"},
		"NotParsed":     {".:0 {\n  cache\n", "Corefile:2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "Corefile")
			if err := os.WriteFile(path, []byte(c.corefile), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := Run(t.Context(), path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error about %q", err, c.want)
			}
		})
	}
	if err := Run(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing Corefile must be an error")
	}
}
