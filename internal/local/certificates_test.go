// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
)

func issued(t *testing.T) layout {
	t.Helper()
	l := layout{name: "skerry", state: t.TempDir()}
	if err := ensureCertificates(l, addressSet(0)); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEveryCertificateVerifies(t *testing.T) {
	l := issued(t)
	for _, want := range leaves(l.name, addressSet(0)) {
		t.Run(want.name, func(t *testing.T) {
			ca, _, err := readPair(l, want.ca)
			if err != nil {
				t.Fatal(err)
			}
			cert, _, err := readPair(l, want.name)
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(ca)
			names := append([]string{}, want.dns...)
			for _, ip := range want.ips {
				names = append(names, ip.String())
			}
			for _, name := range append(names, "") {
				if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: want.usage}); err != nil {
					t.Errorf("as %q: %v", name, err)
				}
			}
		})
	}
}

// Whoever has one component's certificate is that component and nothing more.
func TestIdentitiesAreLeastPrivilege(t *testing.T) {
	want := map[string][]string{
		"admin":                    {"skerry:admin", "system:masters"},
		"apiserver-kubelet-client": {"system:skerry:apiserver-kubelet-client"},
		"kube-controller-manager":  {"system:kube-controller-manager"},
		"kube-proxy":               {"system:kube-proxy"},
		"kube-scheduler":           {"system:kube-scheduler"},
		"kubelet":                  {"system:node:skerry", "system:nodes"},
		"provisioner":              {"system:skerry:provisioner"},
	}
	got := map[string][]string{}
	for _, l := range leaves("skerry", addressSet(0)) {
		if l.ca == clusterCA && cmp.Equal(l.usage, clientUse) {
			got[l.name] = append([]string{l.cn}, l.group...)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCertificatesAreKeptUntilTheyMustChange(t *testing.T) {
	l := issued(t)
	read := func(file string) string {
		data, err := os.ReadFile(l.pki(file))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	server, ca, account := read("apiserver.crt"), read("ca.crt"), read("service-account.key")
	if err := ensureCertificates(l, addressSet(0)); err != nil {
		t.Fatal(err)
	}
	if read("apiserver.crt") != server {
		t.Error("a certificate that fits was issued anew")
	}
	if err := ensureCertificates(l, addressSet(1)); err != nil {
		t.Fatal(err)
	}
	if read("apiserver.crt") == server {
		t.Error("the certificate has not followed the addresses")
	}
	if read("ca.crt") != ca || read("service-account.key") != account {
		t.Error("an authority or the key of accounts has changed: every token and client would be refused")
	}
}

func TestCertificateIsRenewedBeforeItEnds(t *testing.T) {
	l := issued(t)
	want := leaves(l.name, addressSet(0))[0]
	caCert, caKey, err := readPair(l, want.ca)
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := readPair(l, want.name)
	if err != nil {
		t.Fatal(err)
	}
	ca := &authority{cert: caCert, key: caKey}
	if !want.fits(cert, ca, time.Now()) {
		t.Error("a new certificate does not fit")
	}
	if want.fits(cert, ca, time.Now().Add(leafLife-renewBefore+time.Hour)) {
		t.Error("a certificate that ends soon is kept")
	}
}

func TestKubeconfigIsForRootOnly(t *testing.T) {
	l := issued(t)
	info, err := os.Stat(l.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode is %o, want 600", mode)
	}
	config, err := clientcmd.LoadFromFile(l.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if config.CurrentContext != "skerry-skerry" || config.Clusters["skerry-skerry"].Server != "https://10.98.0.2:6443" {
		t.Errorf("context %q, clusters %v", config.CurrentContext, config.Clusters)
	}
	keys, err := filepath.Glob(l.pki("*.key"))
	if err != nil || len(keys) == 0 {
		t.Fatalf("no keys: %v", err)
	}
	for _, key := range keys {
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is readable by others (%v)", key, err)
		}
	}
}
