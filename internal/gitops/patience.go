// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import "time"

const (
	firstPatience   = 2 * time.Second
	longestPatience = 30 * time.Second
)

// patience is how long a repository may take to say what its revisions are: short at first, so that
// one that does not answer is told within seconds and holds no worker; longer after each time that it
// was too short, so that a slow one is heard in the end. The zero value is the shortest.
type patience struct{ longer time.Duration }

func (p *patience) limit() time.Duration { return firstPatience + p.longer }

func (p *patience) grow() { p.longer = min(2*p.limit(), longestPatience) - firstPatience }
