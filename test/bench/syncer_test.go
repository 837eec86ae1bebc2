// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/test/platform"
)

// TestRequestLatency compares the virtual API server with the host's, same request, taking turns.
func TestRequestLatency(t *testing.T) {
	clients := map[string]client.WithWatch{"host": platform.Client(t), "virtual": platform.Virtual(t, environment(t))}
	got := map[string]samples{}
	for range 500 {
		for side, c := range clients {
			begun := time.Now()
			if err := c.Get(t.Context(), client.ObjectKey{Name: "default"}, &corev1.Namespace{}); err != nil {
				t.Fatal(err)
			}
			got[side] = append(got[side], time.Since(begun))
		}
	}
	ratio := float64(got["virtual"].percentile(50)) / float64(got["host"].percentile(50))
	row("request latency, virtual API / host API", fmt.Sprintf("%.2f (virtual %s; host %s)", ratio, got["virtual"], got["host"]), "GET of a namespace, 500 each")
}

// podTimes are when each side first showed something of a Pod.
type podTimes struct{ created, onHost, readyHost, readyVirtual, deleted, gone time.Time }

// TestSyncer creates Pods in the virtual cluster at a steady rate and watches both sides.
func TestSyncer(t *testing.T) {
	count, rate := number("SKERRY_BENCH_PODS", 40), number("SKERRY_BENCH_RATE", 10)
	virtual, host := platform.Virtual(t, environment(t)), platform.Client(t)
	var mu sync.Mutex
	times := map[string]*podTimes{}
	record := func(name string, set func(*podTimes, time.Time)) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		if times[name] == nil {
			times[name] = &podTimes{}
		}
		set(times[name], now)
	}
	follow(t, host, environment(t)+"--default", func(kind watch.EventType, pod *corev1.Pod) {
		record(pod.Name, func(p *podTimes, now time.Time) {
			first(&p.onHost, now, true)
			first(&p.readyHost, now, ready(pod))
			first(&p.gone, now, kind == watch.Deleted)
		})
	})
	follow(t, virtual, "default", func(_ watch.EventType, pod *corev1.Pod) {
		record(pod.Name, func(p *podTimes, now time.Time) { first(&p.readyVirtual, now, ready(pod)) })
	})
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range count {
		<-tick.C
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("bench-%d", i), Namespace: "default"},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "pause", Image: platform.PauseImage(t), ImagePullPolicy: corev1.PullIfNotPresent,
				// Little, so that the environment's quota holds all of them.
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("16Mi")}}}}}}
		if err := virtual.Create(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		record(pod.Name, func(p *podTimes, now time.Time) { p.created = now })
	}
	all := func(done func(*podTimes) bool) func() error {
		return func() error {
			mu.Lock()
			defer mu.Unlock()
			for i := range count {
				if p := times[fmt.Sprintf("bench-%d", i)]; !done(p) {
					return fmt.Errorf("bench-%d is not there yet: %+v", i, p)
				}
			}
			return nil
		}
	}
	platform.Eventually(t, 5*time.Minute, "all Pods are ready on both sides", all(func(p *podTimes) bool { return !p.readyVirtual.IsZero() }))
	for i := range count {
		<-tick.C
		name := fmt.Sprintf("bench-%d", i)
		grace := int64(0)
		if err := virtual.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}, &client.DeleteOptions{GracePeriodSeconds: &grace}); err != nil {
			t.Fatal(err)
		}
		record(name, func(p *podTimes, now time.Time) { p.deleted = now })
	}
	platform.Eventually(t, 5*time.Minute, "all Pods are gone", all(func(p *podTimes) bool { return !p.gone.IsZero() }))
	var down, up, gone samples
	for i := range count {
		p := times[fmt.Sprintf("bench-%d", i)]
		down, up, gone = append(down, p.onHost.Sub(p.created)), append(up, p.readyVirtual.Sub(p.readyHost)), append(gone, p.gone.Sub(p.deleted))
	}
	how := fmt.Sprintf("%d Pods, %d/s", count, rate)
	row("syncer, virtual create -> host object", down.String(), how+"; from the answer to the create to the host's watch event")
	row("syncer, host status -> virtual status", up.String(), how+"; Ready, watch event to watch event")
	row("syncer, virtual delete -> host gone", gone.String(), how+"; kubelet's part included")
}

func first(at *time.Time, now time.Time, happened bool) {
	if happened && at.IsZero() {
		*at = now
	}
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// follow watches the Pods of a namespace until the test ends.
func follow(t *testing.T, c client.WithWatch, namespace string, see func(watch.EventType, *corev1.Pod)) {
	t.Helper()
	w, err := c.Watch(t.Context(), &corev1.PodList{}, client.InNamespace(namespace))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	go func() {
		for event := range w.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok {
				see(event.Type, pod)
			}
		}
	}()
}
