// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"bytes"
	"crypto/x509"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/vcluster/pki"
)

func TestServingNames(t *testing.T) {
	inside := []string{
		"bay", "bay.bay", "bay.bay.svc", "bay.bay.svc.cluster.local",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
	}
	for _, c := range []struct {
		why     string
		service corev1.Service
		dns     []string
		ips     []string
	}{
		{"inside only", corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.7"}}, inside, []string{"10.96.0.7", "127.0.0.1"}},
		{"two families", corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.7", ClusterIPs: []string{"10.96.0.7", "fd00::7"}}},
			inside, []string{"10.96.0.7", "127.0.0.1", "fd00::7"}},
		{"behind a load balancer", corev1.Service{
			Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.7", ExternalIPs: []string{"192.0.2.1"}},
			Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
				{IP: "192.0.2.2"}, {Hostname: "bay.example.org"},
			}}},
		}, append([]string{"bay.example.org"}, inside...), []string{"10.96.0.7", "127.0.0.1", "192.0.2.1", "192.0.2.2"}},
		{"not yet allocated", corev1.Service{}, inside, []string{"127.0.0.1"}},
	} {
		t.Run(c.why, func(t *testing.T) {
			dns, ips := servingNames("bay", &c.service)
			slices.Sort(c.dns)
			if diff := cmp.Diff(c.dns, dns); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			var got []string
			for _, ip := range ips {
				got = append(got, ip.String())
			}
			if diff := cmp.Diff(c.ips, got); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
		})
	}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func testMaterial(t *testing.T) material {
	t.Helper()
	etcd, err := pki.NewAuthority("etcd", start)
	if err != nil {
		t.Fatal(err)
	}
	return material{name: "bay", dns: []string{"bay", "localhost"}, ips: []net.IP{net.IPv4(127, 0, 0, 1)}, etcdUser: "bay-01234567", etcd: etcd, now: start}
}

func TestPlanReissuesOnlyWhatIsStale(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		why     string
		change  func(*material, *secrets)
		changed []string // keys with other bytes afterwards, both Secrets together
	}{
		{"nothing", func(*material, *secrets) {}, nil},
		{"just before a third of the leaves' life is left", func(m *material, _ *secrets) { m.now = start.Add(243 * day) }, nil},
		{"a third of the leaves' life is left", func(m *material, _ *secrets) { m.now = start.Add(244 * day) }, []string{
			"apiserver.crt", "apiserver.key", "client-certificate", "client-key", "config",
			"etcd-client.crt", "etcd-client.key", "front-proxy-ca.crt", "front-proxy-client.crt", "front-proxy-client.key",
		}},
		{"a third of the authority's life is left", func(m *material, _ *secrets) { m.now = start.Add(7 * 365 * day); m.etcd = freshEtcd(m.now) }, []string{
			"apiserver.crt", "apiserver.key", "ca.crt", "certificate-authority", "client-certificate", "client-key", "config",
			"etcd-ca.crt", "etcd-client.crt", "etcd-client.key", "front-proxy-ca.crt", "front-proxy-client.crt", "front-proxy-client.key",
		}},
		{"a name more", func(m *material, _ *secrets) { m.dns = append(m.dns, "bay.example.org") }, []string{"apiserver.crt", "apiserver.key"}},
		{"an address less", func(m *material, _ *secrets) { m.ips = nil }, []string{"apiserver.crt", "apiserver.key"}},
		{"etcd's authority changed", func(m *material, _ *secrets) { m.etcd = freshEtcd(start) }, []string{"etcd-ca.crt", "etcd-client.crt", "etcd-client.key"}},
		{"the kubeconfig Secret was deleted", func(_ *material, s *secrets) { s.kubeconfig = nil }, []string{"client-certificate", "client-key", "config"}},
		{"a key of another certificate", func(_ *material, s *secrets) {
			s.controlPlane[v1alpha1.KeyServingKey] = s.controlPlane[v1alpha1.KeyEtcdKey]
		}, []string{"apiserver.crt", "apiserver.key"}},
		{"an unreadable certificate", func(_ *material, s *secrets) { s.controlPlane[v1alpha1.KeyServingCert] = []byte("x") }, []string{"apiserver.crt", "apiserver.key"}},
	} {
		t.Run(c.why, func(t *testing.T) {
			m := testMaterial(t)
			first, err := m.plan(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			existing := secrets{controlPlane: maps.Clone(first.controlPlane), kubeconfig: maps.Clone(first.kubeconfig)}
			c.change(&m, &existing)
			second, err := m.plan(existing.controlPlane, existing.kubeconfig)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.changed, changedKeys(first, second)); diff != "" {
				t.Errorf("changed keys (-want +got):\n%s", diff)
			}
			if (len(second.reissued) > 0) != (len(c.changed) > 0) {
				t.Errorf("reasons %v", second.reissued)
			}
			if !second.renewal().After(m.now) {
				t.Errorf("the next renewal is %s, not after %s", second.renewal(), m.now)
			}
		})
	}
}

func freshEtcd(now time.Time) *pki.Authority {
	a, err := pki.NewAuthority("etcd", now)
	if err != nil {
		panic(err)
	}
	return a
}

func changedKeys(a, b secrets) []string {
	var out []string
	for _, pair := range [][2]map[string][]byte{{a.controlPlane, b.controlPlane}, {a.kubeconfig, b.kubeconfig}} {
		for k, v := range pair[1] {
			if !bytes.Equal(pair[0][k], v) {
				out = append(out, k)
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestNobodyHasToFollowARenewedAuthority at once: a kubeconfig that somebody took, or the CA that a Pod has
// read, still verifies a serving certificate of after the renewal.
func TestNobodyHasToFollowARenewedAuthority(t *testing.T) {
	m := testMaterial(t)
	first, err := m.plan(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.now = start.Add(7 * 365 * 24 * time.Hour)
	m.etcd = freshEtcd(m.now)
	second, err := m.plan(first.controlPlane, first.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(first.controlPlane[v1alpha1.KeyCACert], second.controlPlane[v1alpha1.KeyCACert]) {
		t.Fatal("the authority was not renewed")
	}
	taken, err := cert.NewPoolFromBytes(first.kubeconfig[keyAuthority])
	if err != nil {
		t.Fatal(err)
	}
	serving, err := cert.ParseCertsPEM(second.controlPlane[v1alpha1.KeyServingCert])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := serving[0].Verify(x509.VerifyOptions{Roots: taken, CurrentTime: m.now, DNSName: "bay"}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(first.controlPlane[v1alpha1.KeyCAKey], second.controlPlane[v1alpha1.KeyCAKey]); diff != "" {
		t.Error("another key signs now")
	}
}

// TestOldAuthorityStaysTrusted: what was signed before a rotation still verifies.
func TestOldAuthorityStaysTrusted(t *testing.T) {
	m := testMaterial(t)
	first, err := m.plan(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.now = start.Add(7 * 365 * 24 * time.Hour)
	m.etcd = freshEtcd(m.now)
	second, err := m.plan(first.controlPlane, first.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := cert.NewPoolFromBytes(second.controlPlane[v1alpha1.KeyCACert])
	if err != nil {
		t.Fatal(err)
	}
	for why, of := range map[string]struct {
		data map[string][]byte
		at   time.Time
	}{"old": {first.kubeconfig, start}, "new": {second.kubeconfig, m.now}} {
		certs, err := cert.ParseCertsPEM(of.data[keyClientCert])
		if err != nil {
			t.Fatal(err)
		}
		_, err = certs[0].Verify(x509.VerifyOptions{Roots: pool, CurrentTime: of.at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err != nil {
			t.Errorf("the %s client certificate: %v", why, err)
		}
		if got := certs[0].Subject; got.CommonName != adminUser || !slices.Equal(got.Organization, []string{adminGroup}) {
			t.Errorf("the administrator is %s", got)
		}
	}
}
