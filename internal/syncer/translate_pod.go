// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"net"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// hostPod is the Pod to create on the host for a virtual one. What the host cannot know
// is replaced by what it can: service account tokens by a Secret that we fill
// (tokenSources says with what), the virtual cluster's CA by a ConfigMap that we keep, the
// downward API's identity by annotations, the cluster's DNS by the virtual one's.
func (t translator) hostPod(virtual *corev1.Pod) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: t.hostMeta(virtual), Spec: *virtual.Spec.DeepCopy()}
	pod.Annotations = t.podAnnotations(virtual)
	spec := &pod.Spec

	spec.ServiceAccountName = "default"
	spec.DeprecatedServiceAccount = ""
	spec.AutomountServiceAccountToken = ptr.To(false)
	spec.EphemeralContainers = nil // only their subresource may set them
	dropUnknownClasses(spec)

	t.rewriteVolumes(virtual, spec.Volumes)
	eachContainer(spec, func(c *corev1.Container) {
		rewriteEnv(c)
		c.Env = t.withAPIServer(c.Env)
	})
	t.rewriteDNS(virtual.Namespace, spec)
	rewriteHostname(virtual, spec)
	t.rewriteAffinity(spec.Affinity)
	return pod
}

func serviceAccount(pod *corev1.Pod) string {
	if pod.Spec.ServiceAccountName == "" {
		return "default"
	}
	return pod.Spec.ServiceAccountName
}

// dropUnknownClasses removes what names a cluster-scoped object of the virtual
// cluster, and the values that virtual admission computed from it: the host's
// admission refuses values that do not fit its own classes.
func dropUnknownClasses(spec *corev1.PodSpec) {
	spec.PriorityClassName = ""
	spec.Priority = nil
	spec.PreemptionPolicy = nil
	spec.Overhead = nil // the host computes it from its RuntimeClass
	spec.SchedulingGroup = nil
}

// eachContainer visits init containers and containers.
func eachContainer(spec *corev1.PodSpec, visit func(*corev1.Container)) {
	for i := range spec.InitContainers {
		visit(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		visit(&spec.Containers[i])
	}
}

// rewriteVolumes changes in place the volumes whose source is another one on the host.
func (t translator) rewriteVolumes(virtual *corev1.Pod, volumes []corev1.Volume) {
	for i := range volumes {
		volume := &volumes[i]
		switch {
		case volume.ConfigMap != nil:
			volume.ConfigMap.Name = hostConfigMap(volume.ConfigMap.Name)
		case volume.DownwardAPI != nil:
			rewriteDownward(volume.DownwardAPI.Items)
		case volume.Projected != nil:
			for j := range volume.Projected.Sources {
				rewriteProjection(virtual, volume.Name, j, &volume.Projected.Sources[j])
			}
		}
	}
}

func rewriteProjection(virtual *corev1.Pod, volume string, index int, source *corev1.VolumeProjection) {
	switch {
	case source.ConfigMap != nil:
		source.ConfigMap.Name = hostConfigMap(source.ConfigMap.Name)
	case source.DownwardAPI != nil:
		rewriteDownward(source.DownwardAPI.Items)
	case source.ServiceAccountToken != nil:
		*source = corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: tokenSecretName(virtual)},
			Items:                []corev1.KeyToPath{{Key: tokenKey(volume, index), Path: source.ServiceAccountToken.Path}},
		}}
	}
}

// hostConfigMap is a ConfigMap's name on the host.
func hostConfigMap(name string) string {
	if name == virtualRootCA {
		return hostRootCA
	}
	return name
}

// virtualConfigMap is a host ConfigMap's name in the virtual cluster; empty for the
// host's own CA, which has none there.
func virtualConfigMap(name string) string {
	switch name {
	case hostRootCA:
		return virtualRootCA
	case virtualRootCA:
		return ""
	}
	return name
}

// rewriteEnv changes in place the references of one container's environment.
func rewriteEnv(c *corev1.Container) {
	for i := range c.EnvFrom {
		if ref := c.EnvFrom[i].ConfigMapRef; ref != nil {
			ref.Name = hostConfigMap(ref.Name)
		}
	}
	for i := range c.Env {
		from := c.Env[i].ValueFrom
		if from == nil {
			continue
		}
		if from.ConfigMapKeyRef != nil {
			from.ConfigMapKeyRef.Name = hostConfigMap(from.ConfigMapKeyRef.Name)
		}
		rewriteField(from.FieldRef)
	}
}

// withAPIServer puts the variables that the kubelet makes from Service default/kubernetes in
// front, for the virtual API server; what the user set stays. In front, because $(NAME) in a value sees
// only the variables before it.
func (t translator) withAPIServer(env []corev1.EnvVar) []corev1.EnvVar {
	set := make(map[string]bool, len(env))
	for _, v := range env {
		set[v.Name] = true
	}
	url := "tcp://" + net.JoinHostPort(t.serviceIP, "443")
	all := []corev1.EnvVar{
		{Name: "KUBERNETES_SERVICE_HOST", Value: t.serviceIP},
		{Name: "KUBERNETES_SERVICE_PORT", Value: "443"},
		{Name: "KUBERNETES_SERVICE_PORT_HTTPS", Value: "443"},
		{Name: "KUBERNETES_PORT", Value: url},
		{Name: "KUBERNETES_PORT_443_TCP", Value: url},
		{Name: "KUBERNETES_PORT_443_TCP_ADDR", Value: t.serviceIP},
		{Name: "KUBERNETES_PORT_443_TCP_PORT", Value: "443"},
		{Name: "KUBERNETES_PORT_443_TCP_PROTO", Value: "tcp"},
	}
	merged := make([]corev1.EnvVar, 0, len(all)+len(env))
	for _, v := range all {
		if !set[v.Name] {
			merged = append(merged, v)
		}
	}
	return append(merged, env...)
}

// rewriteAffinity keeps Pod affinity inside the virtual cluster: its namespaces are
// host namespaces here, and a namespace selector must not reach other tenants'.
func (t translator) rewriteAffinity(affinity *corev1.Affinity) {
	if affinity == nil {
		return
	}
	if a := affinity.PodAffinity; a != nil {
		t.rewriteTerms(a.RequiredDuringSchedulingIgnoredDuringExecution, a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if a := affinity.PodAntiAffinity; a != nil {
		t.rewriteTerms(a.RequiredDuringSchedulingIgnoredDuringExecution, a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

func (t translator) rewriteTerms(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
	for i := range required {
		t.rewriteTerm(&required[i])
	}
	for i := range preferred {
		t.rewriteTerm(&preferred[i].PodAffinityTerm)
	}
}

func (t translator) rewriteTerm(term *corev1.PodAffinityTerm) {
	for i, namespace := range term.Namespaces {
		term.Namespaces[i] = t.hostNamespace(namespace)
	}
	if term.NamespaceSelector == nil {
		return
	}
	selector := term.NamespaceSelector
	if name, found := selector.MatchLabels[corev1.LabelMetadataName]; found {
		delete(selector.MatchLabels, corev1.LabelMetadataName)
		selector.MatchLabels[platformv1alpha1.LabelVirtualNamespace] = name
	}
	for i := range selector.MatchExpressions {
		if selector.MatchExpressions[i].Key == corev1.LabelMetadataName {
			selector.MatchExpressions[i].Key = platformv1alpha1.LabelVirtualNamespace
		}
	}
	selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
		Key: platformv1alpha1.LabelVirtualCluster, Operator: metav1.LabelSelectorOpIn, Values: []string{t.cluster},
	})
}
