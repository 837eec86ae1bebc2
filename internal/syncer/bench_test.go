// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/testenv"
)

// BenchmarkPodDown measures until the host Pod, which mounts a service account token, is seen: p50 and p99 from
// when the virtual Pod is seen, which is the syncer's part; and from before the call that creates it.
//
//	go test -run '^$' -bench Pod -benchtime 200x ./internal/syncer
func BenchmarkPodDown(b *testing.B) {
	for _, rate := range []time.Duration{100 * time.Millisecond, 20 * time.Millisecond} {
		b.Run(fmt.Sprintf("every %s", rate), func(b *testing.B) { benchmark(b, rate, false) })
	}
}

// BenchmarkPodStatusUp measures from before the kubelet's write of Running on the host until it
// is seen in the virtual cluster.
func BenchmarkPodStatusUp(b *testing.B) {
	for _, rate := range []time.Duration{100 * time.Millisecond, 20 * time.Millisecond} {
		b.Run(fmt.Sprintf("every %s", rate), func(b *testing.B) { benchmark(b, rate, true) })
	}
}

func benchmark(b *testing.B, every time.Duration, up bool) {
	w := newWorld(b, fmt.Sprintf("bench-%d-%t-%d", every.Milliseconds(), up, b.N))
	ns, hostNS := w.namespace(b, "pods")
	create(b, w.virtual.Client, simplePod(ns, "warm-up"))
	await[corev1.Pod](b, w.host.Client, hostNS, "warm-up", nil)

	onHost := seen(b, w.host, hostNS, func(*corev1.Pod) bool { return true })
	created := seen(b, w.virtual, ns, func(pod *corev1.Pod) bool { return pod.Name != "warm-up" })
	running := seen(b, w.virtual, ns, func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodRunning })
	begun := times{at: map[string]time.Time{}}
	name := func(i int) string { return fmt.Sprintf("pod-%05d", i) }

	paced(b, every, func(i int) {
		if !up {
			begun.set(name(i))
		}
		create(b, w.virtual.Client, simplePod(ns, name(i)))
	})
	onHost.waitFor(b, b.N+1)
	ended := onHost
	if up {
		paced(b, every, func(i int) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: hostNS, Name: name(i)}}
			begun.set(name(i))
			patch := []byte(`{"status":{"phase":"Running","podIP":"10.1.0.9","podIPs":[{"ip":"10.1.0.9"}],"startTime":"2026-01-01T00:00:00Z"}}`)
			if err := w.host.Client.Status().Patch(context.Background(), pod, client.RawPatch(types.MergePatchType, patch)); err != nil {
				b.Error(err)
			}
		})
		running.waitFor(b, b.N)
		ended = running
	}
	if up {
		report(b, "", begun.until(ended))
	} else {
		report(b, "", created.until(ended))
		report(b, "-with-call", begun.until(ended))
	}
	w.stop()
}

// paced calls one after another at a steady rate, each in a goroutine of its own.
func paced(b *testing.B, every time.Duration, do func(int)) {
	var group sync.WaitGroup
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range b.N {
		<-tick.C
		group.Go(func() { do(i) })
	}
	group.Wait()
}

// times are when something first happened to each name.
type times struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (t *times) set(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.at[name]; !known {
		t.at[name] = time.Now()
	}
}

func (t *times) until(end *times) []time.Duration {
	var took []time.Duration
	for name, at := range t.at {
		took = append(took, end.at[name].Sub(at))
	}
	slices.Sort(took)
	return took
}

func (t *times) waitFor(b *testing.B, count int) {
	b.Helper()
	testenv.Eventually(b, func(context.Context) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		return want(len(t.at) >= count, "saw %d of %d", len(t.at), count)
	})
}

// seen watches a namespace's Pods and notes when each first fits.
func seen(b *testing.B, env *testenv.Env, namespace string, fits func(*corev1.Pod) bool) *times {
	watching, err := client.NewWithWatch(env.Config, client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	watcher, err := watching.Watch(b.Context(), &corev1.PodList{}, client.InNamespace(namespace))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(watcher.Stop)
	t := &times{at: map[string]time.Time{}}
	go func() {
		for event := range watcher.ResultChan() {
			if pod, isPod := event.Object.(*corev1.Pod); isPod && fits(pod) {
				t.set(pod.Name)
			}
		}
	}()
	return t
}

func report(b *testing.B, suffix string, took []time.Duration) {
	if len(took) == 0 {
		return
	}
	at := func(q float64) float64 {
		return float64(took[min(int(q*float64(len(took))), len(took)-1)].Microseconds()) / 1000
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(at(.5), "p50-ms"+suffix)
	b.ReportMetric(at(.99), "p99-ms"+suffix)
}

// BenchmarkPodCreate is the floor: one Pod created and seen in one cluster, without a syncer.
func BenchmarkPodCreate(b *testing.B) {
	env := testenv.Start(b)
	namespace := fmt.Sprintf("floor-%d", b.N)
	makeNamespace(b, env.Client, namespace)
	made := seen(b, env, namespace, func(*corev1.Pod) bool { return true })
	begun := times{at: map[string]time.Time{}}
	paced(b, 100*time.Millisecond, func(i int) {
		begun.set(fmt.Sprintf("pod-%05d", i))
		create(b, env.Client, simplePod(namespace, fmt.Sprintf("pod-%05d", i)))
	})
	made.waitFor(b, b.N)
	report(b, "", begun.until(made))
}
