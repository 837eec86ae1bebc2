// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package dns_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/controlplane/dns"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestAnswersEachClustersOwnNames(t *testing.T) {
	addresses := []string{"10.96.11.11", "10.96.22.22"}
	for i, env := range []*testenv.Env{testenv.Start(t), testenv.StartOwn(t)} {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "db"},
			Spec:       corev1.ServiceSpec{ClusterIP: addresses[i], Ports: []corev1.ServicePort{{Port: 5432}}},
		}
		if err := env.Client.Create(t.Context(), service); err != nil {
			t.Fatal(err)
		}
		server, err := dns.Start(dns.Config{Kubeconfig: env.Kubeconfig, BindAddress: "127.0.0.1", Forward: "127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		})
		for network, port := range map[string]int{"udp": server.UDPPort(), "tcp": server.TCPPort()} {
			testenv.Eventually(t, func(ctx context.Context) error {
				got, err := resolver(network, port).LookupHost(ctx, "db.default.svc.cluster.local.")
				if err != nil {
					return err
				}
				if len(got) != 1 || got[0] != addresses[i] {
					return fmt.Errorf("over %s cluster %d answered %v, want %s", network, i, got, addresses[i])
				}
				return nil
			})
		}
	}
}

func resolver(network string, port int) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
	}}
}

// TestMembersFindEachOther resolves the members of a StatefulSet by the names that they know themselves by: the virtual one, and the one that
// hostname -f says, with the host namespace.
func TestMembersFindEachOther(t *testing.T) {
	env := testenv.Start(t)
	headless := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "redis"},
		Spec:       corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 6379}}},
	}
	members := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: "redis-1", Labels: map[string]string{discoveryv1.LabelServiceName: "redis"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.1.0.10"}, Hostname: ptr.To("redis-0")}, {Addresses: []string{"10.1.0.11"}, Hostname: ptr.To("redis-1")},
		},
		Ports: []discoveryv1.EndpointPort{{Port: ptr.To(int32(6379))}},
	}
	for _, obj := range []client.Object{headless, members} {
		if err := env.Client.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	server, err := dns.Start(dns.Config{VirtualCluster: "bay", Kubeconfig: env.Kubeconfig, BindAddress: "127.0.0.1", Forward: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	for name, address := range map[string]string{
		"redis-0.redis.default.svc.cluster.local.":      "10.1.0.10",
		"redis-0.redis.bay--default.svc.cluster.local.": "10.1.0.10",
		"redis-1.redis.bay--default.svc.cluster.local.": "10.1.0.11",
	} {
		testenv.Eventually(t, func(ctx context.Context) error {
			got, err := resolver("udp", server.UDPPort()).LookupHost(ctx, name)
			if err != nil {
				return err
			}
			if len(got) != 1 || got[0] != address {
				return fmt.Errorf("%s is %v, want %s", name, got, address)
			}
			return nil
		})
	}
	if got, err := resolver("udp", server.UDPPort()).LookupHost(t.Context(), "redis-0.redis.cove--default.svc.cluster.local."); err == nil {
		t.Errorf("another virtual cluster's name is %v here", got)
	}
}
