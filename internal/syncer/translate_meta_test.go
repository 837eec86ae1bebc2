// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

func TestMergeMetaRemovesOnlyWhatIsOurs(t *testing.T) {
	host := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Labels:      map[string]string{"kept": "1", "removed": "1", "by-admission": "1"},
		Annotations: map[string]string{"cni": "x", "removed": "1"},
		ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: fieldOwner, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{".":{},"f:kept":{},"f:removed":{}},"f:annotations":{"f:removed":{}}}}`)},
			{Manager: "webhook", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{"f:by-admission":{}}}}`)},
		},
	}}
	mergeMeta(host, map[string]string{"kept": "2", "new": "1"}, nil)
	if diff := cmp.Diff(map[string]string{"kept": "2", "new": "1", "by-admission": "1"}, host.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"cni": "x"}, host.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestKeepOwnFields(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		{Manager: "kubelet"}, {Manager: fieldOwner}, {Manager: fieldOwner, Subresource: "status"},
	}}}
	if _, err := keepOwnFields(pod); err != nil {
		t.Fatal(err)
	}
	if len(pod.ManagedFields) != 1 || pod.ManagedFields[0].Manager != fieldOwner {
		t.Errorf("kept %v", pod.ManagedFields)
	}
}

func TestRefreshTime(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ life, want time.Duration }{
		{time.Hour, 48 * time.Minute},
		{365 * 24 * time.Hour, 24 * time.Hour},
	} {
		if got := refreshTime(now, now.Add(c.life)).Sub(now); got != c.want {
			t.Errorf("a token for %s is refreshed after %s, want %s", c.life, got, c.want)
		}
	}
}

func TestPodReferences(t *testing.T) {
	pod := simplePod("shop", "web")
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	pod.Spec.Volumes = []corev1.Volume{
		{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
		{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "tls"}}},
		{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "projected"}}},
		}}}},
	}
	pod.Spec.InitContainers = []corev1.Container{{Env: []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{
		SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "password"}},
	}}}}}
	pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "config"}}}}

	refs := podReferences(pod)
	if !refs.secrets.HasAll("registry", "tls", "projected", "password") || !refs.claims.Has("data") || !refs.configMaps.Has("config") {
		t.Errorf("found %v", refs)
	}
}

func TestMergeServiceKeepsTheHostsAddresses(t *testing.T) {
	virtual := simpleService("shop", "web")
	virtual.Spec.Type = corev1.ServiceTypeNodePort
	host := testTranslator.hostService(virtual)
	host.Spec.ClusterIP, host.Spec.ClusterIPs = "10.96.0.7", []string{"10.96.0.7"}
	host.Spec.Ports[0].NodePort = 30007

	testTranslator.mergeService(host, virtual)

	if host.Spec.ClusterIP != "10.96.0.7" || host.Spec.Ports[0].NodePort != 30007 {
		t.Errorf("the host's Service is now %+v", host.Spec)
	}
	if changed := withHostPorts(virtual, host); !changed || virtual.Spec.Ports[0].NodePort != 30007 {
		t.Errorf("the virtual node port is %d", virtual.Spec.Ports[0].NodePort)
	}
	if withHostPorts(virtual, host) {
		t.Error("the same ports are news a second time")
	}
}

func TestVirtualEvent(t *testing.T) {
	host := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "east--shop", Name: "web.1", UID: "host"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "east--shop", Name: "web", UID: "host", ResourceVersion: "7"},
		Message:        "pulled for east--shop/web",
	}
	event := testTranslator.virtualEvent("shop", host, eventTarget{namespace: "shop", uid: "virtual"})
	wanted := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: "web.1", Labels: map[string]string{platformv1alpha1.LabelOwner: platformv1alpha1.OwnerHost}},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "web", UID: "virtual"},
		Message:        "pulled for shop/web",
	}
	if diff := cmp.Diff(wanted, event); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestVirtualNodeTellsNothingAboutOthers(t *testing.T) {
	host := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"zone": "a"}, Annotations: map[string]string{"private": "1"}},
		Spec:       corev1.NodeSpec{ProviderID: "x", Taints: []corev1.Taint{{Key: "gpu"}}},
		Status: corev1.NodeStatus{
			Images:     []corev1.ContainerImage{{Names: []string{"secret"}}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, LastHeartbeatTime: metav1.Now()}},
			NodeInfo:   corev1.NodeSystemInfo{MachineID: "x", KubeletVersion: "v1.37.2"},
		},
	}
	wanted := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"zone": "a", platformv1alpha1.LabelOwner: platformv1alpha1.OwnerHost}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "gpu"}}},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady}},
			NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: "v1.37.2"},
		},
	}
	if diff := cmp.Diff(wanted, virtualNode(host)); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
}
