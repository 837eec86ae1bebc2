// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"time"

	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Lives of certificates. One that ends within renewBefore is issued anew by the next Up.
const (
	leafLife    = 365 * 24 * time.Hour
	renewBefore = 90 * 24 * time.Hour
)

// Certificate authorities of an instance, by file name below STATE/pki.
const (
	clusterCA    = "ca"             // serving and client certificates of the cluster
	etcdCA       = "etcd-ca"        // etcd and its one client
	frontProxyCA = "front-proxy-ca" // the API server towards aggregated API servers
)

// leaf is a certificate to be issued: STATE/pki/NAME.crt and NAME.key.
type leaf struct {
	name  string
	ca    string
	cn    string
	group []string
	usage []x509.ExtKeyUsage
	dns   []string
	ips   []net.IP
}

var (
	clientUse = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	serverUse = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	bothUses  = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

// Users of the cluster's API, each with a certificate and a kubeconfig of its own, that
// are not named by Kubernetes.
const (
	userProvisioner   = "system:skerry:provisioner"
	userKubeletClient = "system:skerry:apiserver-kubelet-client"
)

// Names of the client certificates that get a kubeconfig.
const (
	clientAdmin             = "admin"
	clientControllerManager = "kube-controller-manager"
	clientScheduler         = "kube-scheduler"
	clientKubelet           = "kubelet"
	clientProxy             = "kube-proxy"
	clientProvisioner       = "provisioner"
)

var kubeconfigClients = []string{clientControllerManager, clientScheduler, clientKubelet, clientProxy, clientProvisioner}

// leaves lists every certificate of an instance.
func leaves(name string, a Addresses) []leaf {
	loopback := net.IPv4(127, 0, 0, 1)
	node := net.IP(a.Node().AsSlice())
	return []leaf{
		{name: "apiserver", ca: clusterCA, cn: "kube-apiserver", usage: serverUse,
			dns: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", name},
			ips: []net.IP{node, loopback, a.Kubernetes().AsSlice()}},
		{name: "kubelet-server", ca: clusterCA, cn: "system:node:" + name, group: []string{"system:nodes"}, usage: serverUse,
			dns: []string{name, "localhost"}, ips: []net.IP{node, loopback}},
		{name: "apiserver-kubelet-client", ca: clusterCA, cn: userKubeletClient, usage: clientUse},
		{name: clientAdmin, ca: clusterCA, cn: "skerry:admin", group: []string{"system:masters"}, usage: clientUse},
		{name: clientControllerManager, ca: clusterCA, cn: "system:kube-controller-manager", usage: clientUse},
		{name: clientScheduler, ca: clusterCA, cn: "system:kube-scheduler", usage: clientUse},
		{name: clientKubelet, ca: clusterCA, cn: "system:node:" + name, group: []string{"system:nodes"}, usage: clientUse},
		{name: clientProxy, ca: clusterCA, cn: "system:kube-proxy", usage: clientUse},
		{name: clientProvisioner, ca: clusterCA, cn: userProvisioner, usage: clientUse},
		{name: "etcd", ca: etcdCA, cn: "etcd", usage: bothUses, dns: []string{"localhost"}, ips: []net.IP{loopback}},
		{name: "etcd-client", ca: etcdCA, cn: "kube-apiserver", usage: clientUse},
		{name: "front-proxy-client", ca: frontProxyCA, cn: "front-proxy-client", usage: clientUse},
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// ensureCertificates issues what is missing, ends soon, or no longer says what it
// should, and writes the kubeconfigs. Keys of accounts and authorities are kept.
func ensureCertificates(l layout, a Addresses) error {
	authorities := map[string]*authority{}
	for _, name := range []string{clusterCA, etcdCA, frontProxyCA} {
		ca, err := ensureAuthority(l, name)
		if err != nil {
			return fmt.Errorf("certificate authority %s: %w", name, err)
		}
		authorities[name] = ca
	}
	for _, want := range leaves(l.name, a) {
		if err := ensureLeaf(l, authorities[want.ca], want); err != nil {
			return fmt.Errorf("certificate %s: %w", want.name, err)
		}
	}
	if err := ensureAccountKey(l.pki("service-account.key")); err != nil {
		return err
	}
	return writeKubeconfigs(l, a)
}

// ensureAuthority keeps a certificate authority for ten years, as client-go makes it.
func ensureAuthority(l layout, name string) (*authority, error) {
	if cert, key, err := readPair(l, name); err == nil {
		return &authority{cert: cert, key: key}, nil
	} else if !os.IsNotExist(err) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: "skerry-" + l.name + "-" + name}, key)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, writePair(l, name, cert, key)
}

func ensureLeaf(l layout, ca *authority, want leaf) error {
	if cert, _, err := readPair(l, want.name); err == nil && want.fits(cert, ca, time.Now()) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: want.cn, Organization: want.group},
		// Clocks of one machine agree; the hour is for a clock that is set back.
		NotBefore:   time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: want.usage,
		DNSNames:    want.dns,
		IPAddresses: want.ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	return writePair(l, want.name, cert, key)
}

// fits says whether a certificate can stay.
func (want leaf) fits(cert *x509.Certificate, ca *authority, now time.Time) bool {
	sameIPs := slices.EqualFunc(cert.IPAddresses, want.ips, net.IP.Equal)
	return cert.CheckSignatureFrom(ca.cert) == nil && now.Add(renewBefore).Before(cert.NotAfter) &&
		cert.Subject.CommonName == want.cn && slices.Equal(cert.Subject.Organization, want.group) &&
		slices.Equal(cert.DNSNames, want.dns) && sameIPs && slices.Equal(cert.ExtKeyUsage, want.usage)
}

// ensureAccountKey keeps the key that signs ServiceAccount tokens: RSA, because every
// client of the OIDC discovery document can verify RS256.
func ensureAccountKey(path string) error {
	if _, err := keyutil.PrivateKeyFromFile(path); err == nil || !os.IsNotExist(err) {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	data, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return err
	}
	return writeFile(path, data, 0o600)
}

func readPair(l layout, name string) (*x509.Certificate, crypto.Signer, error) {
	certs, err := certutil.CertsFromFile(l.pki(name + ".crt"))
	if err != nil {
		return nil, nil, err
	}
	key, err := keyutil.PrivateKeyFromFile(l.pki(name + ".key"))
	if err != nil {
		return nil, nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("the key %s cannot sign", l.pki(name+".key"))
	}
	return certs[0], signer, nil
}

func writePair(l layout, name string, cert *x509.Certificate, key crypto.Signer) error {
	data, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return err
	}
	if err := writeFile(l.pki(name+".key"), data, 0o600); err != nil {
		return err
	}
	return writeFile(l.pki(name+".crt"), certPEM(cert), 0o644)
}
