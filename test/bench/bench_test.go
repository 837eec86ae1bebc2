// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bench measures the goals of docs/performance.md on a real local platform. It is no test:
// `make bench` runs it, and each Measure prints one row of the table. Figures are
// reported, never judged.
package bench

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-platform/skerry/test/platform"
)

func TestMain(m *testing.M) {
	if os.Getenv("SKERRY_BENCH") == "" {
		fmt.Println("benchmarks are run by `make bench`")
		return
	}
	os.Exit(platform.Main(m, "bench"))
}

// number reads how many of something to make from the environment.
func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// row prints one line of the table: what, the figure, and how it was had.
func row(what, figure, how string) {
	fmt.Printf("| %s | %s | %s |\n", what, figure, how)
}

// samples of one latency.
type samples []time.Duration

// percentile p of 0 to 100, by the nearest rank.
func (s samples) percentile(p int) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

// String is p50, p99 and their number.
func (s samples) String() string {
	return fmt.Sprintf("p50 %s, p99 %s", round(s.percentile(50)), round(s.percentile(99)))
}

func round(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// memory of a process of the platform, anonymous pages in bytes, found by its arguments.
func memory(t testing.TB, words ...string) int64 {
	t.Helper()
	pid, err := platform.PodProcess(words...)
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no RssAnon for process %d", pid)
	return 0
}
