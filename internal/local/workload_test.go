// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/skerry-platform/skerry/internal/image"
)

func createClaim(t *testing.T, clients kubernetes.Interface) {
	t.Helper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	if _, err := clients.CoreV1().PersistentVolumeClaims("default").Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// createPod runs the pause image, with a claim or without, and waits until it is Ready.
func createPod(t *testing.T, clients kubernetes.Interface, name, claim string) {
	t.Helper()
	user, group, now := int64(1000), int64(2000), int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			SecurityContext:               &corev1.PodSecurityContext{RunAsUser: &user, FSGroup: &group},
			TerminationGracePeriodSeconds: &now,
			Containers:                    []corev1.Container{{Name: "main", Image: image.Pause(), ImagePullPolicy: corev1.PullNever}},
		},
	}
	if claim != "" {
		pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	}
	eventually(t, "Pod "+name+" is accepted", func() bool {
		_, err := clients.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err)
	})
	eventually(t, "Pod "+name+" is Ready", func() bool { return podReady(t, clients, name) })
}

func podReady(t *testing.T, clients kubernetes.Interface, name string) bool {
	pod, err := clients.CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func restartsOf(t *testing.T, clients kubernetes.Interface, name string) int {
	t.Helper()
	pod, err := clients.CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil || len(pod.Status.ContainerStatuses) == 0 {
		return -1
	}
	return int(pod.Status.ContainerStatuses[0].RestartCount)
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 2 minutes: %s", what)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// checkVolume looks at the claim's folder: the Pod's group owns it.
func (p *platform) checkVolume(t *testing.T) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join("/var/lib/skerry", p.name, "volumes", "pvc-*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("want one volume's folder, have %v (%v)", folders, err)
	}
	info, err := os.Stat(folders[0])
	if err != nil {
		t.Fatal(err)
	}
	if group := info.Sys().(*syscall.Stat_t).Gid; group != 2000 {
		t.Errorf("group of the volume is %d, want the Pod's fsGroup 2000", group)
	}
}

// checkClosed asks as somebody without a certificate.
func (p *platform) checkClosed(t *testing.T) {
	t.Helper()
	server, err := url.Parse(p.status(t).Server)
	if err != nil {
		t.Fatal(err)
	}
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: time.Minute}
	for _, address := range []string{server.Host + "/api", net.JoinHostPort(server.Hostname(), "10250") + "/pods"} {
		response, err := stranger.Get("https://" + address)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s answers a stranger with %s", address, response.Status)
		}
	}
	if conn, err := net.DialTimeout("tcp", net.JoinHostPort(server.Hostname(), "2379"), time.Second); err == nil {
		conn.Close()
		t.Error("etcd can be reached from outside the node")
	}
}
