// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/testenv"
)

// podEvictedInside evicts with the virtual API, as kubectl drain and autoscalers do.
func podEvictedInside(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "evicted-inside")
	pod := simplePod(ns, "web")
	create(t, w.virtual.Client, pod)
	host := await[corev1.Pod](t, w.host.Client, hostNS, "web", nil)
	bindTo(t, w, host, "node-1")
	await(t, w.virtual.Client, ns, "web", func(p *corev1.Pod) error { return want(p.Spec.NodeName != "", "not bound") })

	if err := w.virtual.Client.SubResource("eviction").Create(t.Context(), pod, &policyv1.Eviction{}); err != nil {
		t.Fatal(err)
	}
	await(t, w.host.Client, hostNS, "web", func(p *corev1.Pod) error {
		return want(p.DeletionTimestamp != nil, "the host Pod is not being deleted")
	})
	setStatus(t, w.host.Client, host, func() { host.Status.Phase, host.Status.Message = corev1.PodFailed, "stopped" })
	await(t, w.virtual.Client, ns, "web", func(p *corev1.Pod) error {
		evicted := findCondition(p.Status.Conditions, corev1.DisruptionTarget)
		return want(p.Status.Message == "stopped" && evicted != nil && evicted.Reason == "EvictionByEvictionAPI",
			"the Pod says %q, and of its eviction %v", p.Status.Message, evicted)
	})
	if err := w.host.Client.Delete(t.Context(), host, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Pod{}, ns, "web")
}

// podLost takes away the host Pod of one that a Job counts, without a word about how it ended.
func podLost(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "lost")
	pod := simplePod(ns, "job-1")
	pod.Finalizers = []string{"batch.kubernetes.io/job-tracking"}
	create(t, w.virtual.Client, pod)
	host := await[corev1.Pod](t, w.host.Client, hostNS, "job-1", nil)
	setStatus(t, w.host.Client, host, func() { host.Status.Phase = corev1.PodRunning })
	await(t, w.virtual.Client, ns, "job-1", func(p *corev1.Pod) error { return wantEqual(p.Status.Phase, corev1.PodRunning) })
	if err := w.host.Client.Delete(t.Context(), host, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	await(t, w.virtual.Client, ns, "job-1", func(p *corev1.Pod) error {
		return want(p.DeletionTimestamp != nil && p.Status.Phase == corev1.PodFailed && findCondition(p.Status.Conditions, corev1.DisruptionTarget) != nil,
			"the Pod is %s with %v", p.Status.Phase, p.Status.Conditions)
	})
	update(t, w.virtual.Client, pod, func() { pod.Finalizers = nil })
	gone(t, w.virtual.Client, &corev1.Pod{}, ns, "job-1")
}

// updateSubResource is update for a subresource, which the syncer's own writes may conflict with.
func updateSubResource(t testing.TB, c client.Client, name string, obj client.Object, change func()) {
	t.Helper()
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		change()
		return c.SubResource(name).Update(ctx, obj)
	})
}

func podResized(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "resized")
	cpu := func(n string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(n)}}
	}
	pod := simplePod(ns, "web")
	pod.Spec.Containers[0].Resources = cpu("100m")
	pod.Spec.InitContainers = []corev1.Container{{
		Name: "sidecar", Image: "example.com/sidecar:1", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways), Resources: cpu("50m"),
	}}
	create(t, w.virtual.Client, pod)
	host := await[corev1.Pod](t, w.host.Client, hostNS, "web", nil)
	if !isSidecar(&host.Spec.InitContainers[0]) {
		t.Error("the sidecar became an ordinary init container on the host")
	}
	updateSubResource(t, w.virtual.Client, "resize", pod, func() {
		pod.Spec.Containers[0].Resources, pod.Spec.InitContainers[0].Resources = cpu("200m"), cpu("60m")
	})
	await(t, w.host.Client, hostNS, "web", func(p *corev1.Pod) error {
		main, sidecar := p.Spec.Containers[0].Resources.Requests.Cpu(), p.Spec.InitContainers[0].Resources.Requests.Cpu()
		return want(main.String() == "200m" && sidecar.String() == "60m", "on the host they have %s and %s", main, sidecar)
	})
}

// podForbidden asks for the node itself, which the host's policy for tenants does not give.
func podForbidden(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "forbidden")
	w.open(t, ns)
	host := &corev1.Namespace{}
	host.Name = hostNS
	update(t, w.host.Client, host, func() { host.Labels["pod-security.kubernetes.io/enforce"] = "baseline" })
	probe := simplePod(hostNS, "probe")
	probe.Spec.HostNetwork = true
	awaitRefused(t, w, probe)
	for name, ask := range map[string]func(*corev1.PodSpec){
		"hostPath": func(spec *corev1.PodSpec) {
			spec.Volumes = []corev1.Volume{{Name: "node", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		},
		"privileged": func(spec *corev1.PodSpec) {
			spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
		},
		"hostNetwork": func(spec *corev1.PodSpec) { spec.HostNetwork = true },
	} {
		pod := simplePod(ns, strings.ToLower(name))
		ask(&pod.Spec)
		create(t, w.virtual.Client, pod)
		await(t, w.virtual.Client, ns, pod.Name, func(p *corev1.Pod) error {
			scheduled := findCondition(p.Status.Conditions, corev1.PodScheduled)
			return want(scheduled != nil && scheduled.Status == corev1.ConditionFalse && strings.Contains(scheduled.Message, "PodSecurity"),
				"the Pod with %s says %v", name, scheduled)
		})
	}
}

// chartPodEnds has a chart's Pod end slowly.
func chartPodEnds(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "chart-ends")
	w.open(t, ns)
	host := simplePod(hostNS, "db-0")
	host.Spec.NodeName = "node-1"
	create(t, w.host.Client, host)
	await[corev1.Pod](t, w.virtual.Client, ns, "db-0", nil)
	if err := w.host.Client.Delete(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	await(t, w.virtual.Client, ns, "db-0", func(p *corev1.Pod) error { return want(p.DeletionTimestamp != nil, "it does not show as ending") })
	if err := w.host.Client.Delete(t.Context(), host, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Pod{}, ns, "db-0")
}
