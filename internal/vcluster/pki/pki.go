// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki issues the certificates of a virtual cluster and judges whether those it
// has are still good. It is pure (memory only, the time is given) and belongs to
// station 4 (vcluster) of docs/flow.md.
//
// Keys are ECDSA P-256: made in microseconds where RSA takes a tenth of a second.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	// AuthorityLife is how long a certificate authority is valid.
	AuthorityLife = 10 * 365 * 24 * time.Hour
	// LeafLife is how long every other certificate is valid.
	LeafLife = 365 * 24 * time.Hour
	// backdate allows for clocks that lag behind the issuer's.
	backdate = 5 * time.Minute
)

// Pair is a certificate and its private key, both PEM.
type Pair struct{ Cert, Key []byte }

// Authority is a certificate authority.
type Authority struct {
	// Pair's certificate may be followed by earlier authorities that are still
	// trusted; the first one signs.
	Pair
	cert *x509.Certificate
	key  crypto.Signer
}

// Request is what a certificate must say.
type Request struct {
	CommonName   string
	Organization []string // Kubernetes' groups
	DNSNames     []string
	IPs          []net.IP
	Usage        x509.ExtKeyUsage
}

// NewAuthority makes a self-signed authority that is valid for AuthorityLife.
func NewAuthority(commonName string, now time.Time) (*Authority, error) {
	key, keyPEM, err := NewKey()
	if err != nil {
		return nil, err
	}
	return selfSigned(pkix.Name{CommonName: commonName}, key, keyPEM, now)
}

// Renew is the authority with the same name and key, valid for AuthorityLife from now. Who trusts
// one of the two certificates trusts what either signed, so nobody has to follow before
// the earlier one has expired.
func (a *Authority) Renew(now time.Time) (*Authority, error) {
	return selfSigned(pkix.Name{CommonName: a.cert.Subject.CommonName}, a.key, a.Key, now)
}

func selfSigned(name pkix.Name, key crypto.Signer, keyPEM []byte, now time.Time) (*Authority, error) {
	template := &x509.Certificate{
		Subject:               name,
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(AuthorityLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	crt, err := create(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("creating the certificate authority %s: %w", name.CommonName, err)
	}
	certPEM, err := cert.EncodeCertificates(crt)
	if err != nil {
		return nil, fmt.Errorf("encoding the certificate authority %s: %w", name.CommonName, err)
	}
	return &Authority{Pair: Pair{Cert: certPEM, Key: keyPEM}, cert: crt, key: key}, nil
}

// ParseAuthority reads an authority. The first certificate must belong to the key.
func ParseAuthority(p Pair) (*Authority, error) {
	certs, err := cert.ParseCertsPEM(p.Cert)
	if err != nil {
		return nil, fmt.Errorf("parsing the authority's certificate: %w", err)
	}
	parsed, err := keyutil.ParsePrivateKeyPEM(p.Key)
	if err != nil {
		return nil, fmt.Errorf("parsing the authority's key: %w", err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the authority's key has type %T, which cannot sign", parsed)
	}
	if !certs[0].IsCA {
		return nil, errors.New("the certificate is not an authority's")
	}
	if !matches(certs[0], key) {
		return nil, errors.New("the authority's key does not belong to its certificate")
	}
	return &Authority{Pair: p, cert: certs[0], key: key}, nil
}

// Issue makes a certificate that is valid for LeafLife, or for the rest of the
// authority's life if that is shorter.
func (a *Authority) Issue(req Request, now time.Time) (Pair, error) {
	key, keyPEM, err := NewKey()
	if err != nil {
		return Pair{}, err
	}
	end := now.Add(LeafLife)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: req.CommonName, Organization: req.Organization},
		DNSNames:    req.DNSNames,
		IPAddresses: req.IPs,
		NotBefore:   now.Add(-backdate),
		NotAfter:    end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{req.Usage},
	}
	crt, err := create(template, a.cert, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("issuing a certificate for %s: %w", req.CommonName, err)
	}
	certPEM, err := cert.EncodeCertificates(crt)
	if err != nil {
		return Pair{}, fmt.Errorf("encoding the certificate of %s: %w", req.CommonName, err)
	}
	return Pair{Cert: certPEM, Key: keyPEM}, nil
}

// NewKey makes an ECDSA P-256 key, also as PEM.
func NewKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generating a key: %w", err)
	}
	pem, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a key: %w", err)
	}
	return key, pem, nil
}

func create(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func matches(crt *x509.Certificate, key crypto.Signer) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(crt.PublicKey)
}
