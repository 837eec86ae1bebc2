// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-platform/skerry/internal/controlplane"
)

// BenchmarkStart starts one control plane after the other in this process and keeps
// them, as a pool member does. Beside the time to ready it reports what each further one
// adds: to the heap in use, to resident memory and to goroutines. Run it with -benchtime=5x.
func BenchmarkStart(b *testing.B) {
	startTenant(b, tenantConfig(b, "bench-first", &fakeHost{})) // pays for what all share
	heap, resident, goroutines := settledMemory(b)
	n := 0
	for b.Loop() {
		b.StopTimer()
		cfg := tenantConfig(b, fmt.Sprintf("bench-%d", n), &fakeHost{})
		n++
		b.StartTimer()
		cp, err := controlplane.Start(context.Background(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { stopTenant(b, cp) })
	}
	b.StopTimer()
	if p := os.Getenv("PROF"); p != "" {
		time.Sleep(8 * time.Second)
		runtime.GC()
		f, _ := os.Create(p)
		pprof.Lookup("heap").WriteTo(f, 0)
		f.Close()
		f, _ = os.Create(p + ".goroutines")
		pprof.Lookup("goroutine").WriteTo(f, 1)
		f.Close()
	}
	heapAfter, residentAfter, goroutinesAfter := settledMemory(b)
	b.ReportMetric(float64(heapAfter-heap)/float64(n)/(1<<20), "heapMB/tenant")
	b.ReportMetric(float64(residentAfter-resident)/float64(n)/(1<<20), "residentMB/tenant")
	b.ReportMetric(float64(goroutinesAfter-goroutines)/float64(n), "goroutines/tenant")
}

// settledMemory waits until what starts later (controllers' monitors, OpenAPI) has
// started, then measures after a collection.
func settledMemory(b *testing.B) (heap, resident int64, goroutines int) {
	b.Helper()
	time.Sleep(10 * time.Second)
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return int64(m.HeapInuse), pages * int64(os.Getpagesize()), runtime.NumGoroutine()
}
