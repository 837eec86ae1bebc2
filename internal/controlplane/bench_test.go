// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane"
	"github.com/skerry-platform/skerry/internal/controlplane/pki"
)

// startsApart lets the controllers of one control plane come to rest before the next starts.
const startsApart = 3 * time.Second

// BenchmarkStart starts one control plane after the other in this process and keeps
// them, as a pool member does, with etcd in a process of its own and TLS between the two.
// Beside the time to ready it reports what each further one adds: to the heap in use, to resident
// memory and to goroutines; and the processor time of this process up to ready and in all, which
// other work on the machine disturbs less than the time. Run it with -benchtime=5x.
func BenchmarkStart(b *testing.B) {
	endpoint, etcdKeys := startEtcd(b)
	config := func(name string) controlplane.Config {
		cfg := tenantConfig(b, name, &fakeHost{})
		cfg.EtcdEndpoints = []string{endpoint}
		maps.Copy(cfg.Secret, etcdKeys)
		captured, err := capture()
		if err != nil {
			b.Fatal(err)
		}
		cfg.Template = captured.Source()
		return cfg
	}
	startTenant(b, config("bench-first")) // pays for what all share
	before := settledMemory(b)
	n := 0
	var busy time.Duration
	begun := processorTime(b)
	for b.Loop() {
		b.StopTimer()
		cfg := config(fmt.Sprintf("bench-%d", n))
		n++
		time.Sleep(startsApart)
		idle := processorTime(b)
		b.StartTimer()
		cp, err := controlplane.Start(context.Background(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		busy += processorTime(b) - idle
		b.Cleanup(func() { stopTenant(b, cp) })
		b.StartTimer()
	}
	b.StopTimer()
	time.Sleep(startsApart)
	b.ReportMetric(float64((processorTime(b)-begun).Milliseconds())/float64(n), "cpu-ms/tenant")
	after := settledMemory(b)
	each := func(before, after uint64) float64 { return (float64(after) - float64(before)) / float64(n) }
	b.ReportMetric(each(before.HeapAlloc, after.HeapAlloc)/(1<<20), "heapMB/tenant")
	b.ReportMetric(each(before.StackInuse, after.StackInuse)/(1<<20), "stackMB/tenant")
	b.ReportMetric(each(before.resident, after.resident)/(1<<20), "residentMB/tenant")
	b.ReportMetric(each(before.goroutines, after.goroutines), "goroutines/tenant")
	b.ReportMetric(float64(busy.Milliseconds())/float64(n), "cpu-ms/start")
}

// startEtcd runs the built program's etcd until the benchmark ends, and gives its endpoint and
// the control plane Secret's keys of a client.
func startEtcd(b *testing.B) (endpoint string, keys map[string][]byte) {
	b.Helper()
	program := os.Getenv("SKERRY_KUBE")
	if program == "" {
		b.Skip("SKERRY_KUBE does not name the built skerry-kube")
	}
	ca, err := pki.NewCA("etcd")
	if err != nil {
		b.Fatal(err)
	}
	serving, err := ca.Serving("etcd", nil, []net.IP{net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	client, err := ca.Client("bench")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for name, content := range map[string][]byte{"ca": ca.Cert, "crt": serving.Cert, "key": serving.Key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	endpoint = fmt.Sprintf("https://127.0.0.1:%d", freePort(b))
	cmd := exec.Command(program, "etcd", "--data-dir="+filepath.Join(dir, "data"), "--listen-client-url="+endpoint, "--listen-metrics-url=",
		"--cert-file="+filepath.Join(dir, "crt"), "--key-file="+filepath.Join(dir, "key"), "--client-ca-file="+filepath.Join(dir, "ca"))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return endpoint, map[string][]byte{
		platformv1alpha1.KeyEtcdCA: ca.Cert, platformv1alpha1.KeyEtcdCert: client.Cert, platformv1alpha1.KeyEtcdKey: client.Key,
	}
}

func freePort(b *testing.B) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// processorTime that this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// memory of this process: live heap, stacks, what is resident of both and of garbage.
type memory struct {
	runtime.MemStats
	resident, goroutines uint64
}

// settledMemory waits until what starts later (controllers' monitors, OpenAPI) has
// started, then measures after a collection.
func settledMemory(b *testing.B) memory {
	b.Helper()
	time.Sleep(10 * time.Second)
	runtime.GC()
	debug.FreeOSMemory() // as a pool member does when it comes to rest
	m := memory{goroutines: uint64(runtime.NumGoroutine())}
	runtime.ReadMemStats(&m.MemStats)
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseUint(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	m.resident = pages * uint64(os.Getpagesize())
	return m
}
