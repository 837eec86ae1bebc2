// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane"
	"github.com/skerry-platform/skerry/internal/controlplane/etcd"
	"github.com/skerry-platform/skerry/internal/controlplane/pki"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// One member of the pool with everything that belongs to it, against a real host API
// server and etcd. The test is the operator.
func TestPoolMemberServesAVirtualCluster(t *testing.T) {
	host := testenv.Start(t)
	address := outwardAddress(t)
	vc, secret := prepare(t, host, "shop")
	stop := startPool(t, host, address)

	created := time.Now()
	setPrepared(t, host, vc, metav1.ConditionTrue)
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := host.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
			return err
		}
		if !status.IsTrue(vc.Status.Conditions, platformv1alpha1.ConditionControlPlaneReady) {
			return fmt.Errorf("conditions %v", vc.Status.Conditions)
		}
		return nil
	})
	t.Logf("ready %s after Prepared", time.Since(created).Round(time.Millisecond))

	virtual := administrator(t, host, address, vc.Name, secret)
	t.Run("Service has one address on both sides", func(t *testing.T) { serviceHasOneAddress(t, host, virtual, vc.Name) })
	t.Run("DNS answers with it", func(t *testing.T) { dnsAnswers(t, host, virtual, address, vc.Name) })
	t.Run("Deployment runs on the host", func(t *testing.T) { deploymentRunsOnHost(t, host, virtual, vc.Name) })

	if err := host.Client.Delete(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	setPrepared(t, host, vc, metav1.ConditionFalse)
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := host.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there with finalizers %v, %v", vc.Finalizers, err)
		}
		return nil
	})
	stop()
}

// prepare does the operator's part for a virtual cluster, without Prepared.
func prepare(t testing.TB, host *testenv.Env, name string) (*platformv1alpha1.VirtualCluster, map[string][]byte) {
	t.Helper()
	secret, err := pki.ControlPlane(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	vc := &platformv1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: vc.Name, Name: name} }
	api := &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}}}}
	dns := &corev1.Service{ObjectMeta: meta(platformv1alpha1.DNSService), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
		{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", Port: 53, Protocol: corev1.ProtocolTCP},
	}}}
	for _, o := range []client.Object{
		vc,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: platformv1alpha1.HostNamespace(name, "default")}},
		&corev1.ServiceAccount{ObjectMeta: meta(platformv1alpha1.TenantServiceAccount)},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: name, Name: platformv1alpha1.TenantServiceAccount}},
		},
		api, dns,
		&corev1.Secret{ObjectMeta: meta(platformv1alpha1.ControlPlaneSecret(name)), Data: secret},
		&platformv1alpha1.VirtualNamespace{ObjectMeta: meta("default")},
	} {
		if err := host.Client.Create(t.Context(), o); err != nil {
			t.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
	}
	vns := &platformv1alpha1.VirtualNamespace{ObjectMeta: meta("default")}
	if err := host.Client.Get(t.Context(), client.ObjectKeyFromObject(vns), vns); err != nil {
		t.Fatal(err)
	}
	vns.Status.HostNamespace = platformv1alpha1.HostNamespace(name, "default")
	status.Set(&vns.Status.Conditions, 1, platformv1alpha1.ConditionReady, metav1.ConditionTrue, platformv1alpha1.ReasonAvailable, "")
	if err := host.Client.Status().Update(t.Context(), vns); err != nil {
		t.Fatal(err)
	}
	vc.Status.ServiceIP, vc.Status.DNSIP, vc.Status.EtcdPrefix = api.Spec.ClusterIP, dns.Spec.ClusterIP, "/skerry/"+name
	if err := host.Client.Status().Update(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	return vc, secret
}

func setPrepared(t testing.TB, host *testenv.Env, vc *platformv1alpha1.VirtualCluster, s metav1.ConditionStatus) {
	t.Helper()
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := host.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
			return err
		}
		status.Set(&vc.Status.Conditions, vc.Generation, platformv1alpha1.ConditionPrepared, s, "Test", "")
		return host.Client.Status().Update(ctx, vc)
	})
}

func startPool(t testing.TB, host *testenv.Env, address string) (stop func()) {
	t.Helper()
	store, err := etcd.Start(t.Context(), etcd.Config{Name: "test", DataDir: t.TempDir(), ListenClient: "http://127.0.0.1:0", UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)
	return startPoolOn(t, host, address, store.Endpoint())
}

func startPoolOn(t testing.TB, host *testenv.Env, address, etcdEndpoint string) (stop func()) {
	t.Helper()
	t.Setenv(clientcmd.RecommendedConfigPathEnvVar, host.Kubeconfig)
	namespace := host.Namespace(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- runPool(ctx, poolOptions{
			namespace: namespace, podName: "skerry-pool-0", podIP: address, dir: t.TempDir(),
			etcdEndpoints: []string{etcdEndpoint}, metricsAddress: "0", healthAddress: "0",
		})
	}()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the pool member: %v", err)
		}
	}
}

// outwardAddress of this machine: the API refuses loopback addresses as endpoints.
func outwardAddress(t testing.TB) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(addresses, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast()
	})
	if i < 0 {
		t.Skip("this machine has no address but loopback")
	}
	return addresses[i].(*net.IPNet).IP.String()
}

// port that the member's EndpointSlice names.
func port(t *testing.T, host *testenv.Env, vc, slice, name string) int {
	t.Helper()
	s := &discoveryv1.EndpointSlice{}
	if err := host.Client.Get(t.Context(), client.ObjectKey{Namespace: vc, Name: slice}, s); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Ports {
		if *p.Name == name {
			return int(*p.Port)
		}
	}
	t.Fatalf("EndpointSlice %s/%s has no port %s", vc, slice, name)
	return 0
}

func administrator(t *testing.T, host *testenv.Env, address, vc string, secret map[string][]byte) client.Client {
	t.Helper()
	path := t.TempDir() + "/kubeconfig"
	if err := writeKubeconfig(path, address, port(t, host, vc, vc, "https"), secret, "alice", controlplane.AdminGroup); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: host.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var web = metav1.ObjectMeta{Namespace: "default", Name: "web", Labels: map[string]string{"app": "web"}}

func onHost(vc, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: platformv1alpha1.HostNamespace(vc, "default"), Name: name}
}

func serviceHasOneAddress(t *testing.T, host *testenv.Env, virtual client.Client, vc string) {
	service := &corev1.Service{ObjectMeta: web, Spec: corev1.ServiceSpec{Selector: web.Labels, Ports: []corev1.ServicePort{{Port: 80}}}}
	testenv.Eventually(t, func(ctx context.Context) error { return virtual.Create(ctx, service.DeepCopy()) })
	if err := virtual.Get(t.Context(), client.ObjectKeyFromObject(service), service); err != nil {
		t.Fatal(err)
	}
	other := &corev1.Service{}
	if err := host.Client.Get(t.Context(), onHost(vc, "web"), other); err != nil {
		t.Fatal(err)
	}
	if service.Spec.ClusterIP == "" || service.Spec.ClusterIP != other.Spec.ClusterIP {
		t.Errorf("inside %s, on the host %s", service.Spec.ClusterIP, other.Spec.ClusterIP)
	}
}

func dnsAnswers(t *testing.T, host *testenv.Env, virtual client.Client, address, vc string) {
	service := &corev1.Service{}
	if err := virtual.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "web"}, service); err != nil {
		t.Fatal(err)
	}
	udp := port(t, host, vc, platformv1alpha1.DNSService, "dns")
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(address, fmt.Sprint(udp)))
	}}
	testenv.Eventually(t, func(ctx context.Context) error {
		got, err := resolver.LookupHost(ctx, "web.default.svc.cluster.local.")
		if err == nil && !slices.Equal(got, []string{service.Spec.ClusterIP}) {
			err = fmt.Errorf("answered %v, want %s", got, service.Spec.ClusterIP)
		}
		return err
	})
}

func deploymentRunsOnHost(t *testing.T, host *testenv.Env, virtual client.Client, vc string) {
	deployment := &appsv1.Deployment{ObjectMeta: web, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: web.Labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: web.Labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
		},
	}}
	if err := virtual.Create(t.Context(), deployment); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		pods := &corev1.PodList{}
		if err := host.Client.List(ctx, pods, client.InNamespace(onHost(vc, "").Namespace)); err != nil {
			return err
		}
		if len(pods.Items) != 1 {
			return errors.New("no pod on the host yet")
		}
		return nil
	})
}
