// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// BenchmarkVirtualCluster measures one pool member that serves one virtual cluster after the
// other, each with everything that belongs to it: from Prepared to ControlPlaneReady, and what each
// further one adds to the process. etcd is in the same process, without TLS; its part is in the
// memory. Run it with -benchtime=5x.
func BenchmarkVirtualCluster(b *testing.B) {
	host := testenv.Start(b)
	stop := startPool(b, host, outwardAddress(b))
	defer stop()
	serveOne(b, host, "first")
	before := residentWhenSettled(b)
	begun, n := processorTime(b), 0
	for b.Loop() {
		b.StopTimer()
		vc, _ := prepare(b, host, fmt.Sprintf("bench-%d", n))
		n++
		time.Sleep(3 * time.Second)
		w := watchOne(b, host, vc)
		b.StartTimer()
		setPrepared(b, host, vc, metav1.ConditionTrue)
		awaitReady(b, w)
	}
	b.StopTimer()
	after := residentWhenSettled(b)
	b.ReportMetric(float64(after-before)/float64(n)/(1<<20), "residentMB/cluster")
	b.ReportMetric(float64((processorTime(b)-begun).Milliseconds())/float64(n), "cpu-ms/cluster")
}

func serveOne(b *testing.B, host *testenv.Env, name string) {
	b.Helper()
	vc, _ := prepare(b, host, name)
	w := watchOne(b, host, vc)
	setPrepared(b, host, vc, metav1.ConditionTrue)
	awaitReady(b, w)
}

func watchOne(b *testing.B, host *testenv.Env, vc *platformv1alpha1.VirtualCluster) watch.Interface {
	b.Helper()
	c, err := client.NewWithWatch(host.Config, client.Options{Scheme: host.Scheme})
	if err != nil {
		b.Fatal(err)
	}
	w, err := c.Watch(b.Context(), &platformv1alpha1.VirtualClusterList{}, client.MatchingFields{"metadata.name": vc.Name})
	if err != nil {
		b.Fatal(err)
	}
	return w
}

func awaitReady(b *testing.B, w watch.Interface) {
	b.Helper()
	defer w.Stop()
	for event := range w.ResultChan() {
		vc, ok := event.Object.(*platformv1alpha1.VirtualCluster)
		if ok && status.IsTrue(vc.Status.Conditions, platformv1alpha1.ConditionControlPlaneReady) {
			return
		}
	}
	b.Fatal("the watch ended before the control plane was ready")
}

// residentWhenSettled is the anonymous memory of this process, in bytes, when it
// has come to rest and has given back what it does not need.
func residentWhenSettled(b *testing.B) int64 {
	b.Helper()
	time.Sleep(30 * time.Second)
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb << 10
		}
	}
	b.Fatal("/proc/self/status has no RssAnon")
	return 0
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
