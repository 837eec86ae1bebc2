// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates of a control plane that nobody else prepared:
// `skerry-kube standalone` and tests. A virtual cluster's own come from internal/vcluster
// (station 4 of docs/flow.md).
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const validity = 10 * 365 * 24 * time.Hour

// ControlPlane returns a complete control plane Secret's data (the keys of
// platform.skerry.dev/v1alpha1, without etcd's) whose serving certificate carries the
// given DNS names and addresses beside the ones every API server has.
func ControlPlane(names []string, ips []net.IP) (map[string][]byte, error) {
	data := map[string][]byte{}
	ca, err := NewCA("skerry")
	if err != nil {
		return nil, err
	}
	frontProxy, err := NewCA("skerry-front-proxy")
	if err != nil {
		return nil, err
	}
	serving, err := ca.Serving("kube-apiserver",
		append([]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}, names...),
		append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, ips...))
	if err != nil {
		return nil, err
	}
	proxyClient, err := frontProxy.Client("front-proxy-client")
	if err != nil {
		return nil, err
	}
	serviceAccount, err := newKey()
	if err != nil {
		return nil, err
	}
	data[platformv1alpha1.KeyServiceAccount] = serviceAccount.pem
	data[platformv1alpha1.KeyCACert], data[platformv1alpha1.KeyCAKey] = ca.Cert, ca.Key
	data[platformv1alpha1.KeyServingCert], data[platformv1alpha1.KeyServingKey] = serving.Cert, serving.Key
	data[platformv1alpha1.KeyFrontProxyCA] = frontProxy.Cert
	data[platformv1alpha1.KeyFrontProxyCert], data[platformv1alpha1.KeyFrontProxyKey] = proxyClient.Cert, proxyClient.Key
	return data, nil
}

// Pair is a certificate and its private key, both PEM.
type Pair struct {
	Cert, Key []byte
}

// CA signs certificates.
type CA struct {
	Pair
	cert *x509.Certificate
	key  crypto.Signer
}

type privateKey struct {
	crypto.Signer
	pem []byte
}

func newKey() (privateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return privateKey{}, fmt.Errorf("generating a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return privateKey{}, fmt.Errorf("encoding a key: %w", err)
	}
	return privateKey{key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})}, nil
}

// NewCA makes a self-signed certificate authority.
func NewCA(name string) (*CA, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := template(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the CA %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the CA %s: %w", name, err)
	}
	return &CA{Pair: Pair{encodeCert(der), key.pem}, cert: cert, key: key}, nil
}

// LoadCA reads a certificate authority from PEM; the key is EC or PKCS #8.
func LoadCA(cert, key []byte) (*CA, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("loading a CA: %w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("loading a CA: its key cannot sign")
	}
	return &CA{Pair: Pair{cert, key}, cert: pair.Leaf, key: signer}, nil
}

// Serving makes a server's certificate for the names and addresses.
func (ca *CA) Serving(name string, dns []string, ips []net.IP) (Pair, error) {
	template := template(name)
	template.DNSNames, template.IPAddresses = dns, ips
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return ca.sign(template)
}

// Client makes a client's certificate: user name and groups, as Kubernetes reads
// them from the subject.
func (ca *CA) Client(user string, groups ...string) (Pair, error) {
	template := template(user)
	template.Subject.Organization = groups
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.sign(template)
}

func (ca *CA) sign(template *x509.Certificate) (Pair, error) {
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return Pair{}, fmt.Errorf("signing the certificate of %s: %w", template.Subject.CommonName, err)
	}
	return Pair{encodeCert(der), key.pem}, nil
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(validity),
	}
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
