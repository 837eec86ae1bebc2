// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// mergePod writes into a host Pod what may change in place on a living Pod: labels,
// annotations, images, tolerations (only more of them), the deadline, and scheduling gates (only
// fewer). Whatever else differs was decided when the Pod was made, or by the host's admission.
func (t translator) mergePod(host, virtual *corev1.Pod) {
	mergeMeta(host, t.hostLabels(virtual), t.podAnnotations(virtual))
	mergeImages(host.Spec.InitContainers, virtual.Spec.InitContainers)
	mergeImages(host.Spec.Containers, virtual.Spec.Containers)
	for _, toleration := range virtual.Spec.Tolerations {
		same := func(have corev1.Toleration) bool { return equality.Semantic.DeepEqual(have, toleration) }
		if !slices.ContainsFunc(host.Spec.Tolerations, same) {
			host.Spec.Tolerations = append(host.Spec.Tolerations, toleration)
		}
	}
	if virtual.Spec.ActiveDeadlineSeconds != nil {
		host.Spec.ActiveDeadlineSeconds = virtual.Spec.ActiveDeadlineSeconds
	}
	host.Spec.SchedulingGates = slices.DeleteFunc(host.Spec.SchedulingGates, func(gate corev1.PodSchedulingGate) bool {
		return !slices.Contains(virtual.Spec.SchedulingGates, gate)
	})
}

func mergeImages(host, virtual []corev1.Container) {
	for _, from := range virtual {
		if to := containerNamed(host, from.Name); to != nil {
			to.Image = from.Image
		}
	}
}

// mergeResources writes the resources of the virtual Pod, its containers and its sidecars into the host Pod; true when one
// differs. What only the host has (a LimitRange's defaults) stays.
func mergeResources(host, virtual *corev1.Pod) bool {
	changed := false
	merge := func(to, from *corev1.ResourceRequirements) {
		changed = mergeQuantities(&to.Requests, from.Requests) || changed
		changed = mergeQuantities(&to.Limits, from.Limits) || changed
	}
	for i := range virtual.Spec.Containers {
		if to := containerNamed(host.Spec.Containers, virtual.Spec.Containers[i].Name); to != nil {
			merge(&to.Resources, &virtual.Spec.Containers[i].Resources)
		}
	}
	for i := range virtual.Spec.InitContainers {
		from := &virtual.Spec.InitContainers[i]
		if to := containerNamed(host.Spec.InitContainers, from.Name); to != nil && isSidecar(from) {
			merge(&to.Resources, &from.Resources)
		}
	}
	if host.Spec.Resources != nil && virtual.Spec.Resources != nil {
		merge(host.Spec.Resources, virtual.Spec.Resources)
	}
	return changed
}

// isSidecar says whether an init container runs as long as the Pod, and so may be resized.
func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// mergeQuantities looks only at what a living Pod may change, CPU and memory.
func mergeQuantities(to *corev1.ResourceList, from corev1.ResourceList) bool {
	changed := false
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		wanted, set := from[name]
		if !set {
			continue
		}
		if have, same := (*to)[name]; same && have.Cmp(wanted) == 0 {
			continue
		}
		if *to == nil {
			*to = corev1.ResourceList{}
		}
		(*to)[name] = wanted
		changed = true
	}
	return changed
}

// mergeEphemeral adds the virtual Pod's ephemeral containers (kubectl debug) that the host Pod lacks; true
// when there were any. They can only be added.
func (t translator) mergeEphemeral(host, virtual *corev1.Pod) bool {
	changed := false
	for _, container := range virtual.Spec.EphemeralContainers {
		same := func(have corev1.EphemeralContainer) bool { return have.Name == container.Name }
		if slices.ContainsFunc(host.Spec.EphemeralContainers, same) {
			continue
		}
		added := *container.DeepCopy()
		common := corev1.Container(added.EphemeralContainerCommon)
		rewriteEnv(&common)
		common.Env = t.withAPIServer(common.Env)
		added.EphemeralContainerCommon = corev1.EphemeralContainerCommon(common)
		host.Spec.EphemeralContainers = append(host.Spec.EphemeralContainers, added)
		changed = true
	}
	return changed
}

func containerNamed(containers []corev1.Container, name string) *corev1.Container {
	at := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == name })
	if at < 0 {
		return nil
	}
	return &containers[at]
}
