// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestLogLevels(t *testing.T) {
	for level, want := range map[string]struct{ taken, info, debug bool }{
		"debug": {true, true, true}, "info": {true, true, false}, "error": {true, false, false},
		"loud": {}, "panic": {},
	} {
		log, err := logger(level)
		if (err == nil) != want.taken {
			t.Errorf("%s: error %v", level, err)
			continue
		}
		if err == nil && (log.Enabled() != want.info || log.V(1).Enabled() != want.debug) {
			t.Errorf("%s: info %t, debug %t", level, log.Enabled(), log.V(1).Enabled())
		}
	}
}
