// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane"
)

func asAdmin(t *testing.T, cp *controlplane.ControlPlane) client.Client {
	t.Helper()
	return newClient(t, cp.RESTConfigAs("alice", controlplane.AdminGroup, "system:authenticated"))
}

func webService(ns string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "web-"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "admin", Port: 81}},
		},
	}
}

func TestServiceIsBornWithTheHostsAddress(t *testing.T) {
	cp, host := sharedTenant(t)
	alice := asAdmin(t, cp)
	service := webService(newNamespace(t, alice))

	if err := alice.Create(t.Context(), service, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if len(host.services) != 0 {
		t.Fatal("a dry run made a Service on the host")
	}
	service = webService(service.Namespace)
	if err := alice.Create(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	if service.Spec.ClusterIP != "10.96.200.1" {
		t.Errorf("cluster IP %s, want the host's 10.96.200.1", service.Spec.ClusterIP)
	}
	if a, b := service.Spec.Ports[0].NodePort, service.Spec.Ports[1].NodePort; a != 31010 || b != 31011 {
		t.Errorf("node ports %d and %d, want the host's 31010 and 31011", a, b)
	}
	if got := host.services[0].Name; got != service.Name {
		t.Errorf("the host was asked for %q and the virtual Service is %q", got, service.Name)
	}
	if !slices.Contains(service.Finalizers, platformv1alpha1.FinalizerHost) {
		t.Errorf("finalizers %v do not hold it until the host's is gone", service.Finalizers)
	}
}

func TestServiceIsRefusedWithTheHostsReason(t *testing.T) {
	cp, host := sharedTenant(t)
	alice := asAdmin(t, cp)
	service := webService(newNamespace(t, alice))
	host.refuse = apierrors.NewForbidden(corev1.Resource("services"), "web", fmt.Errorf("exceeded quota"))
	defer func() { host.refuse = nil }()

	err := alice.Create(t.Context(), service)
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota") {
		t.Errorf("got %v", err)
	}
}

func TestReleasesAreHeldUntilTheHostsIsGone(t *testing.T) {
	cp, _ := sharedTenant(t)
	alice := asAdmin(t, cp)
	release := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "helm.m.crossplane.io/v1beta1", "kind": "Release",
		"metadata": map[string]any{"name": "db", "namespace": newNamespace(t, alice)},
		"spec":     map[string]any{"forProvider": map[string]any{"chart": map[string]any{"name": "postgresql"}}},
	}}
	if err := alice.Create(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(release.GetFinalizers(), platformv1alpha1.FinalizerHost) {
		t.Errorf("finalizers %v", release.GetFinalizers())
	}
}

func TestHostOwnedObjectsAreGuarded(t *testing.T) {
	cp, _ := sharedTenant(t)
	alice, syncer := asAdmin(t, cp), newClient(t, cp.RESTConfigAs(controlplane.SyncerUser))
	ns := newNamespace(t, alice)
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: ns, Name: name,
			Labels:      map[string]string{platformv1alpha1.LabelOwner: platformv1alpha1.OwnerHost},
			Annotations: map[string]string{"meta.helm.sh/release-name": "shop-db-postgresql"},
		}
	}
	secret := &corev1.Secret{ObjectMeta: meta("binding")}
	pod := &corev1.Pod{ObjectMeta: meta("db-0"), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "db", Image: "db"}}}}
	for _, o := range []client.Object{secret, pod} {
		if err := syncer.Create(t.Context(), o); err != nil {
			t.Fatalf("the syncer creates %T: %v", o, err)
		}
	}
	changed := secret.DeepCopy()
	changed.StringData = map[string]string{"password": "mine"}
	attempts := map[string]func() error{
		"update": func() error { return alice.Update(t.Context(), changed.DeepCopy()) },
		"delete": func() error { return alice.Delete(t.Context(), secret.DeepCopy()) },
		"delete collection": func() error {
			return alice.DeleteAllOf(t.Context(), &corev1.Secret{}, client.InNamespace(ns), client.HasLabels{platformv1alpha1.LabelOwner})
		},
		"status": func() error { return alice.Status().Update(t.Context(), pod.DeepCopy()) },
		"evict": func() error {
			config, err := kubernetes.NewForConfig(cp.RESTConfigAs("alice", controlplane.AdminGroup))
			if err != nil {
				return err
			}
			return config.CoreV1().Pods(ns).EvictV1(t.Context(), eviction(pod))
		},
	}
	for name, attempt := range attempts {
		err := attempt()
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `change the Release "shop-db-postgresql" that made it instead`) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := alice.Create(t.Context(), &corev1.Secret{ObjectMeta: meta("forged")}); !apierrors.IsForbidden(err) {
		t.Errorf("forging the label: got %v", err)
	}
	if err := syncer.Delete(t.Context(), secret); err != nil {
		t.Errorf("the syncer deletes: %v", err)
	}
}

func TestPodLogsComeFromTheHost(t *testing.T) {
	cp, host := sharedTenant(t)
	alice := asAdmin(t, cp)
	ns := newNamespace(t, alice)
	var seen *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		fmt.Fprint(w, "hello from the host\n")
	}))
	defer server.Close()

	logs := func(user string, groups ...string) (string, error) {
		c, err := kubernetes.NewForConfig(cp.RESTConfigAs(user, groups...))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := c.CoreV1().Pods(ns).GetLogs("web-0", &corev1.PodLogOptions{Container: "web"}).Stream(t.Context())
		if err != nil {
			return "", err
		}
		defer stream.Close()
		body, err := io.ReadAll(stream)
		return string(body), err
	}
	if _, err := logs("alice", controlplane.AdminGroup); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("before the host knows the namespace: got %v", err)
	}
	u, _ := url.Parse(server.URL)
	host.servePods(u)
	if _, err := logs("mallory"); !apierrors.IsForbidden(err) {
		t.Errorf("without the right to read logs: got %v", err)
	}
	body, err := logs("alice", controlplane.AdminGroup)
	if err != nil || body != "hello from the host\n" {
		t.Fatalf("got %q, %v", body, err)
	}
	if want := "/api/v1/namespaces/tenant--" + ns + "/pods/web-0/log?container=web"; seen.URL.String() != want {
		t.Errorf("asked the host for %s, want %s", seen.URL, want)
	}
	for _, h := range []string{"Authorization", "Impersonate-User"} {
		if seen.Header.Get(h) != "" {
			t.Errorf("the caller's %s reached the host", h)
		}
	}
}
