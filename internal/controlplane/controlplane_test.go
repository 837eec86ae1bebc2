// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane"
	"github.com/skerry-platform/skerry/internal/controlplane/pki"
)

func TestTwoTenantsDoNotSeeEachOther(t *testing.T) {
	left := newClient(t, startTenant(t, tenantConfig(t, "left", nil)).RESTConfig())
	right := newClient(t, startTenant(t, tenantConfig(t, "right", nil)).RESTConfig())
	key := client.ObjectKey{Namespace: "default", Name: "shared-name"}

	if err := left.Create(t.Context(), configMap(key, "left")); err != nil {
		t.Fatal(err)
	}
	if err := right.Get(t.Context(), key, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Fatalf("the right tenant sees the left one's ConfigMap: %v", err)
	}
	if err := right.Create(t.Context(), configMap(key, "right")); err != nil {
		t.Fatalf("the same name in another tenant: %v", err)
	}
	got := &corev1.ConfigMap{}
	if err := left.Get(t.Context(), key, got); err != nil || got.Data["owner"] != "left" {
		t.Errorf("the left tenant's ConfigMap says %q, %v", got.Data["owner"], err)
	}
}

func configMap(key client.ObjectKey, owner string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Data: map[string]string{"owner": owner}}
}

func TestKubernetesServiceHasTheHostsAddress(t *testing.T) {
	cp, _ := sharedTenant(t)
	c := newClient(t, cp.RESTConfig())
	key := client.ObjectKey{Namespace: "default", Name: "kubernetes"}

	service := &corev1.Service{}
	eventually(t, func() error { return c.Get(t.Context(), key, service) }) // made by the API server itself, just after its start
	if service.Spec.ClusterIP != kubernetesServiceIP.String() {
		t.Errorf("default/kubernetes is at %s, want %s", service.Spec.ClusterIP, kubernetesServiceIP)
	}
	slice := &discoveryv1.EndpointSlice{}
	if err := c.Get(t.Context(), key, slice); err != nil {
		t.Fatal(err)
	}
	if got := slice.Endpoints[0].Addresses[0]; got != kubernetesServiceIP.String() {
		t.Errorf("its endpoint is %s, want %s", got, kubernetesServiceIP)
	}
}

func TestDeploymentBecomesPodsAndGoesWithItsNamespace(t *testing.T) {
	cp, _ := sharedTenant(t)
	c := newClient(t, cp.RESTConfig())
	ns := newNamespace(t, c)
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
			},
		},
	}
	if err := c.Create(t.Context(), deployment); err != nil {
		t.Fatal(err)
	}
	pods := &corev1.PodList{}
	eventually(t, func() error {
		if err := c.List(t.Context(), pods, client.InNamespace(ns), client.MatchingLabels(labels)); err != nil {
			return err
		}
		if len(pods.Items) != 2 {
			return fmt.Errorf("%d pods", len(pods.Items))
		}
		return nil
	})
	if got := pods.Items[0].Spec.Volumes; len(got) != 1 || got[0].Projected == nil {
		t.Errorf("a pod has no projected ServiceAccount token: %v", got)
	}

	if err := c.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		err := c.Get(t.Context(), client.ObjectKey{Name: ns}, &corev1.Namespace{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the namespace is still there: %v", err)
	})
}

func TestStartsAgainWithItsState(t *testing.T) {
	cfg := tenantConfig(t, "again", nil)
	first, err := controlplane.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKey{Namespace: "default", Name: "kept"}
	if err := newClient(t, first.RESTConfig()).Create(t.Context(), configMap(key, "first")); err != nil {
		t.Fatal(err)
	}
	stopTenant(t, first)

	second := startTenant(t, cfg)
	if err := newClient(t, second.RESTConfig()).Get(t.Context(), key, &corev1.ConfigMap{}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestRefusesASecondOneOfTheSameName(t *testing.T) {
	cfg := tenantConfig(t, "twice", nil)
	startTenant(t, cfg)
	if cp, err := controlplane.Start(t.Context(), cfg); err == nil {
		stopTenant(t, cp)
		t.Error("the second start succeeded")
	}
}

func TestNamesTheMissingKeyOfItsSecret(t *testing.T) {
	cfg := tenantConfig(t, "incomplete", nil)
	delete(cfg.Secret, platformv1alpha1.KeyServingKey)
	_, err := controlplane.Start(t.Context(), cfg)
	if want := `starting control plane incomplete: the control plane Secret has no key "apiserver.key"`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFollowsRotatedServingCertificate(t *testing.T) {
	cfg := tenantConfig(t, "rotated", nil)
	cp := startTenant(t, cfg)
	ca, err := pki.LoadCA(cfg.Secret[platformv1alpha1.KeyCACert], cfg.Secret[platformv1alpha1.KeyCAKey])
	if err != nil {
		t.Fatal(err)
	}
	next, err := ca.Serving("kube-apiserver", []string{"rotated.example"}, []net.IP{net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Secret[platformv1alpha1.KeyServingCert], cfg.Secret[platformv1alpha1.KeyServingKey] = next.Cert, next.Key
	if err := cp.UpdateSecret(cfg.Secret); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", cp.Port()), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].VerifyHostname("rotated.example")
	})
}

// A pool member gives tenants away while others go on, so an ended control plane may
// leave nothing behind.
func TestStopReleasesEverything(t *testing.T) {
	cfg := tenantConfig(t, "released", nil)
	// The first of a process leaves what all share.
	stopTenant(t, mustStart(t, cfg))
	before := settledGoroutines()

	cp := mustStart(t, cfg)
	running := runtime.NumGoroutine()
	started := time.Now()
	stopTenant(t, cp)
	took := time.Since(started)

	// What was left behind stays; what only ends slowly has all the time that it needs.
	after, deadline := runtime.NumGoroutine(), time.Now().Add(patience)
	for after-before > (running-before)/100 && time.Now().Before(deadline) {
		after = settledGoroutines()
	}
	t.Logf("goroutines: %d before, %d running, %d after; stopped in %s", before, running, after, took.Round(time.Millisecond))
	if leaked := after - before; leaked > (running-before)/100 {
		buf := make([]byte, 1<<22)
		t.Errorf("%d goroutines were left behind:\n%s", leaked, buf[:runtime.Stack(buf, true)])
	}
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", cp.Port())); err == nil {
		conn.Close()
		t.Error("the port still answers")
	}
}

func mustStart(t testing.TB, cfg controlplane.Config) *controlplane.ControlPlane {
	t.Helper()
	cp, err := controlplane.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// settledGoroutines counts when the number has not gone down for a while.
func settledGoroutines() int {
	least, since := runtime.NumGoroutine(), time.Now()
	for time.Since(since) < 3*time.Second {
		time.Sleep(100 * time.Millisecond)
		if n := runtime.NumGoroutine(); n < least {
			least, since = n, time.Now()
		}
	}
	return least
}
