// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/controlplane"
	"github.com/skerry-platform/skerry/internal/controlplane/etcd"
	"github.com/skerry-platform/skerry/internal/controlplane/pki"
)

const (
	patience    = time.Minute
	serviceCIDR = "10.96.0.0/16"
)

var kubernetesServiceIP = net.IPv4(10, 96, 7, 7)

// store is the etcd that all tests of the package share, each under its own prefix.
var store *etcd.Server

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "skerry-controlplane-")
	if err == nil {
		store, err = etcd.Start(context.Background(), etcd.Config{
			Name: "test", DataDir: dir, ListenClient: "http://127.0.0.1:0", UnsafeNoFsync: true,
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	store.Stop()
	os.RemoveAll(dir)
	os.Exit(code)
}

func tenantConfig(t testing.TB, name string, hooks controlplane.Hooks) controlplane.Config {
	t.Helper()
	secret, err := pki.ControlPlane(nil, []net.IP{kubernetesServiceIP})
	if err != nil {
		t.Fatal(err)
	}
	return controlplane.Config{
		Name: name, Dir: t.TempDir(), Secret: secret, EtcdEndpoints: []string{store.Endpoint()}, EtcdPrefix: "/skerry/" + name,
		ServiceCIDR: serviceCIDR, KubernetesServiceIP: kubernetesServiceIP, BindAddress: "127.0.0.1", Hooks: hooks,
	}
}

// startTenant runs a control plane until the test ends.
func startTenant(t testing.TB, cfg controlplane.Config) *controlplane.ControlPlane {
	t.Helper()
	cp, err := controlplane.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopTenant(t, cp) })
	return cp
}

func stopTenant(t testing.TB, cp *controlplane.ControlPlane) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := cp.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// shared is a tenant with hooks that most tests use together, each in a namespace of its own.
var shared struct {
	sync.Mutex
	cp    *controlplane.ControlPlane
	hooks *fakeHost
}

func sharedTenant(t *testing.T) (*controlplane.ControlPlane, *fakeHost) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cp == nil {
		shared.hooks = &fakeHost{}
		cp, err := controlplane.Start(context.Background(), tenantConfigIn(t, "shared", shared.hooks))
		if err != nil {
			t.Fatal(err)
		}
		shared.cp = cp
	}
	return shared.cp, shared.hooks
}

// tenantConfigIn is tenantConfig with a folder that outlives the test.
func tenantConfigIn(t *testing.T, name string, hooks controlplane.Hooks) controlplane.Config {
	t.Helper()
	cfg := tenantConfig(t, name, hooks)
	dir, err := os.MkdirTemp("", "skerry-controlplane-")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dir = dir
	return cfg
}

// fakeHost stands where a host cluster would be.
type fakeHost struct {
	mu       sync.Mutex
	services []*corev1.Service
	refuse   error
	pods     *url.URL
}

func (h *fakeHost) AllocateService(_ context.Context, virtual *corev1.Service) (*corev1.Service, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return nil, h.refuse
	}
	if virtual.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, nil
	}
	h.services = append(h.services, virtual)
	host := virtual.DeepCopy()
	host.Spec.ClusterIP = fmt.Sprintf("10.96.200.%d", len(h.services))
	host.Spec.ClusterIPs = []string{host.Spec.ClusterIP}
	host.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	if host.Spec.Type == corev1.ServiceTypeNodePort {
		for i := range host.Spec.Ports {
			host.Spec.Ports[i].NodePort = int32(31000 + len(h.services)*10 + i)
		}
	}
	return host, nil
}

func (h *fakeHost) PodHost(_ context.Context, namespace string) (controlplane.Target, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pods == nil {
		return controlplane.Target{}, apierrors.NewServiceUnavailable("namespace " + namespace + " has no host yet")
	}
	return controlplane.Target{BaseURL: h.pods, Namespace: "tenant--" + namespace}, nil
}

func (h *fakeHost) servePods(u *url.URL) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pods = u
}

func newClient(t testing.TB, config *rest.Config) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newNamespace makes a namespace and waits for its default ServiceAccount, which pods need.
func newNamespace(t testing.TB, c client.Client) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		return c.Get(t.Context(), client.ObjectKey{Namespace: ns.Name, Name: "default"}, &corev1.ServiceAccount{})
	})
	return ns.Name
}

func eventually(t testing.TB, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not so after %s: %v", patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
