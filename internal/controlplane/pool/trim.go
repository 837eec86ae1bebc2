// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"runtime/debug"
	"time"
)

// trimAfter is how long nothing must have started or stopped before memory is given back.
const trimAfter = 15 * time.Second

// trimmer gives memory back to the operating system after tenants have started or stopped.
// Go keeps as much free memory as the program held at its last peak, which is that of starting:
// an idle member would stay at twice of what its tenants need.
type trimmer struct{ timer *time.Timer }

func newTrimmer() trimmer { return trimmer{time.AfterFunc(trimAfter, debug.FreeOSMemory)} }

// changed says that a tenant has started or stopped.
func (t trimmer) changed() { t.timer.Reset(trimAfter) }

func (t trimmer) stop() { t.timer.Stop() }
