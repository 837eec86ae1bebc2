// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

var testTranslator = translator{cluster: "east", serviceIP: testServiceIP, dnsIP: testDNSIP}

// apiAccess is the volume that Kubernetes' admission adds to every Pod.
func apiAccess() corev1.Volume {
	return corev1.Volume{Name: "kube-api-access-x", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr.To(int64(3607))}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: virtualRootCA}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}},
		}}},
	}}}}
}

func TestHostPodVolumes(t *testing.T) {
	virtual := simplePod("shop", "web")
	virtual.UID = "1234"
	virtual.Spec.ServiceAccountName = "cashier"
	virtual.Spec.Volumes = []corev1.Volume{apiAccess()}

	host := testTranslator.hostPod(virtual)

	wanted := []corev1.VolumeProjection{
		{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: "skerry-token-1234"},
			Items:                []corev1.KeyToPath{{Key: "kube-api-access-x.0", Path: "token"}},
		}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: hostRootCA}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{
			FieldPath: "metadata.annotations['platform.skerry.dev/virtual-namespace']",
		}}}}},
	}
	if diff := cmp.Diff(wanted, host.Spec.Volumes[0].Projected.Sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if host.Namespace != "east--shop" || host.Name != "web" || host.Spec.ServiceAccountName != "default" || *host.Spec.AutomountServiceAccountToken {
		t.Errorf("host Pod is %s/%s as %s", host.Namespace, host.Name, host.Spec.ServiceAccountName)
	}
	annotations := map[string]string{
		platformv1alpha1.AnnotationVirtualUID:            "1234",
		platformv1alpha1.AnnotationVirtualNamespace:      "shop",
		platformv1alpha1.AnnotationVirtualServiceAccount: "cashier",
	}
	if diff := cmp.Diff(annotations, host.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestHostPodDropsWhatTheHostCannotKnow(t *testing.T) {
	virtual := simplePod("shop", "web")
	virtual.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web"}}
	virtual.Finalizers = []string{"batch.kubernetes.io/job-tracking"}
	virtual.Spec.PriorityClassName = "gold"
	virtual.Spec.Priority = ptr.To(int32(7))
	virtual.Spec.EphemeralContainers = []corev1.EphemeralContainer{{}}
	virtual.Spec.SchedulerName = "own"
	virtual.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}

	host := testTranslator.hostPod(virtual)

	if len(host.OwnerReferences)+len(host.Finalizers)+len(host.Spec.EphemeralContainers) > 0 || host.Spec.PriorityClassName != "" || host.Spec.Priority != nil {
		t.Errorf("kept on the host: %+v", host)
	}
	if host.Spec.SchedulerName != "own" || len(host.Spec.ImagePullSecrets) != 1 {
		t.Errorf("lost on the host: %+v", host.Spec)
	}
}

func TestHostPodEnvironment(t *testing.T) {
	field := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	virtual := simplePod("shop", "web")
	virtual.Spec.InitContainers = []corev1.Container{{Name: "init"}}
	virtual.Spec.Containers[0].Env = []corev1.EnvVar{
		{Name: "KUBERNETES_SERVICE_HOST", Value: "mine"},
		{Name: "NS", ValueFrom: field("metadata.namespace")},
		{Name: "UID", ValueFrom: field("metadata.uid")},
		{Name: "SA", ValueFrom: field("spec.serviceAccountName")},
		{Name: "IP", ValueFrom: field("status.podIP")},
		{Name: "CA", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: virtualRootCA}}}},
	}
	host := testTranslator.hostPod(virtual)

	get := func(c corev1.Container, name string) corev1.EnvVar {
		var found []corev1.EnvVar
		for _, v := range c.Env {
			if v.Name == name {
				found = append(found, v)
			}
		}
		if len(found) != 1 {
			t.Fatalf("container %s has %s %d times", c.Name, name, len(found))
		}
		return found[0]
	}
	main, init := host.Spec.Containers[0], host.Spec.InitContainers[0]
	for _, c := range []struct{ got, want string }{
		{get(main, "KUBERNETES_SERVICE_HOST").Value, "mine"},
		{get(main, "KUBERNETES_SERVICE_PORT").Value, "443"},
		{get(init, "KUBERNETES_SERVICE_HOST").Value, testServiceIP},
		{get(init, "KUBERNETES_PORT").Value, "tcp://10.0.0.1:443"},
		{get(main, "NS").ValueFrom.FieldRef.FieldPath, "metadata.annotations['platform.skerry.dev/virtual-namespace']"},
		{get(main, "UID").ValueFrom.FieldRef.FieldPath, "metadata.annotations['platform.skerry.dev/virtual-uid']"},
		{get(main, "SA").ValueFrom.FieldRef.FieldPath, "metadata.annotations['platform.skerry.dev/virtual-service-account']"},
		{get(main, "IP").ValueFrom.FieldRef.FieldPath, "status.podIP"},
		{get(main, "CA").ValueFrom.ConfigMapKeyRef.Name, hostRootCA},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if main.Env[0].Name != "KUBERNETES_SERVICE_PORT" {
		t.Errorf("%s comes first, so $(KUBERNETES_SERVICE_PORT) cannot be used after it", main.Env[0].Name)
	}
}

func TestHostPodShowsItsVirtualLabels(t *testing.T) {
	item := func(path string) []corev1.DownwardAPIVolumeFile {
		return []corev1.DownwardAPIVolumeFile{{Path: "file", FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	virtual := simplePod("shop", "web")
	virtual.Labels = map[string]string{"b": "2", "a": "say \"1\""}
	virtual.Annotations = map[string]string{"note": "two\nlines"}
	virtual.Spec.Volumes = []corev1.Volume{
		{Name: "labels", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: item("metadata.labels")}}},
		{Name: "annotations", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: item("metadata.annotations")}},
		}}}},
	}
	host := testTranslator.hostPod(virtual)
	// The value is what the kubelet itself would write for these labels, keys in order.
	for _, c := range []struct {
		item             corev1.DownwardAPIVolumeFile
		annotation, want string
	}{
		{host.Spec.Volumes[0].DownwardAPI.Items[0], platformv1alpha1.AnnotationVirtualLabels, "a=\"say \\\"1\\\"\"\nb=\"2\""},
		{host.Spec.Volumes[1].Projected.Sources[0].DownwardAPI.Items[0], platformv1alpha1.AnnotationVirtualAnnotations, "note=\"two\\nlines\""},
	} {
		if path := "metadata.annotations['" + c.annotation + "']"; c.item.FieldRef.FieldPath != path {
			t.Errorf("the volume shows %s, want %s", c.item.FieldRef.FieldPath, path)
		}
		if got := host.Annotations[c.annotation]; got != c.want {
			t.Errorf("%s is %q, want %q", c.annotation, got, c.want)
		}
	}
	virtual.Labels["b"] = "3"
	testTranslator.mergePod(host, virtual)
	if got, want := host.Annotations[platformv1alpha1.AnnotationVirtualLabels], "a=\"say \\\"1\\\"\"\nb=\"3\""; got != want {
		t.Errorf("after a change it is %q, want %q", got, want)
	}
}

func TestHostPodHostname(t *testing.T) {
	for _, c := range []struct {
		name           string
		spec           corev1.PodSpec
		override, fqdn any
	}{
		{"of a StatefulSet", corev1.PodSpec{Hostname: "redis-0", Subdomain: "redis"}, nil, nil},
		{"in full", corev1.PodSpec{Hostname: "redis-0", Subdomain: "redis", SetHostnameAsFQDN: ptr.To(true)}, "redis-0.redis.shop.svc.cluster.local", nil},
		{"in full, from the Pod's name", corev1.PodSpec{Subdomain: "redis", SetHostnameAsFQDN: ptr.To(true)}, "web.redis.shop.svc.cluster.local", nil},
		{"in full without a subdomain", corev1.PodSpec{SetHostnameAsFQDN: ptr.To(true)}, nil, true},
		{"too long", corev1.PodSpec{Hostname: strings.Repeat("x", 60), Subdomain: "redis", SetHostnameAsFQDN: ptr.To(true)}, nil, true},
	} {
		virtual := simplePod("shop", "web")
		rewriteHostname(virtual, &c.spec)
		if got := value(c.spec.HostnameOverride); got != c.override {
			t.Errorf("%s: the hostname is %v, want %v", c.name, got, c.override)
		}
		if got := value(c.spec.SetHostnameAsFQDN); got != c.fqdn {
			t.Errorf("%s: setHostnameAsFQDN is %v, want %v", c.name, got, c.fqdn)
		}
	}
}

// value is what a pointer points at, nil for nil.
func value[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func TestRewriteDNS(t *testing.T) {
	searches := []string{"shop.svc.cluster.local", "svc.cluster.local", "cluster.local"}
	ndots := func(n string) []corev1.PodDNSConfigOption {
		return []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr.To(n)}}
	}
	for _, c := range []struct {
		name   string
		spec   corev1.PodSpec
		policy corev1.DNSPolicy
		config *corev1.PodDNSConfig
	}{
		{"cluster first", corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst}, corev1.DNSNone,
			&corev1.PodDNSConfig{Nameservers: []string{testDNSIP}, Searches: searches, Options: ndots("5")}},
		{"on the host's network", corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst, HostNetwork: true}, corev1.DNSDefault, nil},
		{"on the host's network, still the cluster's", corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirstWithHostNet, HostNetwork: true}, corev1.DNSNone,
			&corev1.PodDNSConfig{Nameservers: []string{testDNSIP}, Searches: searches, Options: ndots("5")}},
		{"the node's", corev1.PodSpec{DNSPolicy: corev1.DNSDefault}, corev1.DNSDefault, nil},
		{"merged with its own", corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst, DNSConfig: &corev1.PodDNSConfig{
			Nameservers: []string{"192.0.2.1", testDNSIP, "192.0.2.2", "192.0.2.3"}, Searches: []string{"example.com"}, Options: ndots("2"),
		}}, corev1.DNSNone, &corev1.PodDNSConfig{
			Nameservers: []string{testDNSIP, "192.0.2.1", "192.0.2.2"}, Searches: append(searches[:3:3], "example.com"), Options: ndots("2"),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			testTranslator.rewriteDNS("shop", &c.spec)
			if c.spec.DNSPolicy != c.policy {
				t.Errorf("policy is %s, want %s", c.spec.DNSPolicy, c.policy)
			}
			if diff := cmp.Diff(c.config, c.spec.DNSConfig); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAffinityStaysInTheVirtualCluster(t *testing.T) {
	affinity := &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{TopologyKey: "zone", Namespaces: []string{"shop"}},
		{TopologyKey: "zone", NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "shop"}}},
	}}}
	testTranslator.rewriteAffinity(affinity)
	terms := affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	wanted := []corev1.PodAffinityTerm{
		{TopologyKey: "zone", Namespaces: []string{"east--shop"}},
		{TopologyKey: "zone", NamespaceSelector: &metav1.LabelSelector{
			MatchLabels: map[string]string{platformv1alpha1.LabelVirtualNamespace: "shop"},
			MatchExpressions: []metav1.LabelSelectorRequirement{{
				Key: platformv1alpha1.LabelVirtualCluster, Operator: metav1.LabelSelectorOpIn, Values: []string{"east"},
			}},
		}},
	}
	if diff := cmp.Diff(wanted, terms); diff != "" {
		t.Errorf("terms (-want +got):\n%s", diff)
	}
}

func TestVirtualPodStatus(t *testing.T) {
	virtual, host := simplePod("shop", "web"), simplePod("east--shop", "web")
	virtual.Generation, host.Generation = 3, 8
	virtual.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "gate"}}
	virtual.Status = corev1.PodStatus{QOSClass: corev1.PodQOSBestEffort, Conditions: []corev1.PodCondition{{Type: "gate", Status: corev1.ConditionTrue}}}
	host.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "10.1.0.1", QOSClass: corev1.PodQOSBurstable, ObservedGeneration: 8,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, ObservedGeneration: 7}},
	}
	wanted := corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "10.1.0.1", QOSClass: corev1.PodQOSBestEffort, ObservedGeneration: 3,
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, ObservedGeneration: 2},
			{Type: "gate", Status: corev1.ConditionTrue},
		},
	}
	if diff := cmp.Diff(wanted, virtualPodStatus(virtual, host)); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}
