// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func pod(name string, edit func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
	edit(&p)
	return p
}

func waiting(container, reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: container, State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
	}}
}

func TestPodsCause(t *testing.T) {
	crash := waiting("db", "CrashLoopBackOff", "back-off 10s restarting failed container")
	crash.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "no space left on device\n"}
	oom := waiting("db", "CrashLoopBackOff", "back-off")
	oom.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}
	unplaced := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available: insufficient memory"}
	cases := map[string]struct {
		reason string
		pods   []corev1.Pod
		says   string
		broken bool
	}{
		"none": {reason: "no Pods, no cause"},
		"starting": {
			reason: "what passes by itself is no cause",
			pods: []corev1.Pod{pod("a", func(p *corev1.Pod) {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting("db", "ContainerCreating", "")}
			})},
		},
		"image": {
			reason: "an image that cannot be had",
			pods: []corev1.Pod{pod("a", func(p *corev1.Pod) {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting("db", "ErrImagePull", "not found")}
			})},
			says: "Pod a: container db: ErrImagePull: not found", broken: true,
		},
		"init": {
			reason: "init containers come first",
			pods: []corev1.Pod{pod("a", func(p *corev1.Pod) {
				p.Status.InitContainerStatuses = []corev1.ContainerStatus{waiting("init", "CrashLoopBackOff", "x")}
				p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting("db", "PodInitializing", "")}
			})},
			says: "Pod a: container init: CrashLoopBackOff: x", broken: true,
		},
		"crash": {
			reason: "the container's last words say more than the back-off",
			pods:   []corev1.Pod{pod("a", func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{crash} })},
			says:   "Pod a: container db: CrashLoopBackOff (exit code 1, Error): no space left on device", broken: true,
		},
		"memory": {
			reason: "too little memory is named",
			pods:   []corev1.Pod{pod("a", func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{oom} })},
			says:   "OOMKilled", broken: true,
		},
		"unplaced": {
			reason: "no node takes it",
			pods:   []corev1.Pod{pod("a", func(p *corev1.Pod) { p.Status.Conditions = []corev1.PodCondition{unplaced} })},
			says:   "Pod a cannot be placed: 0/1 nodes are available: insufficient memory",
		},
		"worst first": {
			reason: "what is broken is told before what only waits",
			pods: []corev1.Pod{
				pod("a", func(p *corev1.Pod) { p.Status.Conditions = []corev1.PodCondition{unplaced} }),
				pod("b", func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{crash} }),
			},
			says: "Pod b: container db", broken: true,
		},
		"not ready": {
			reason: "a running container whose probe fails",
			pods: []corev1.Pod{pod("a", func(p *corev1.Pod) {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "db", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
			})},
			says: "Pod a: container db runs but is not ready yet",
		},
		"evicted": {
			reason: "a Pod that failed as a whole",
			pods: []corev1.Pod{pod("a", func(p *corev1.Pod) {
				p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "The node was low on resource: memory."
			})},
			says: "Pod a failed: Evicted The node was low", broken: true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := podsCause(c.pods)
			if got.Broken != c.broken || !strings.Contains(got.Message, c.says) || (c.says == "" && got.Message != "") {
				t.Errorf("%s: got %+v, want %q, broken %t", c.reason, got, c.says, c.broken)
			}
		})
	}
}

func TestShortenKeepsTheEnd(t *testing.T) {
	got := shorten(strings.Repeat("ü", mostCause) + "the end")
	if !strings.HasSuffix(got, "the end") || !strings.HasPrefix(got, "...") || len(got) > mostCause+3 || strings.Contains(got, "\uFFFD") {
		t.Errorf("got %q", got)
	}
}
