// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Stale says why a certificate must be issued again, "" when it is good: it exists,
// belongs to its key, is signed by the authority, says what the request says, and more
// than a third of its life is left.
func Stale(p Pair, req Request, by *Authority, now time.Time) string {
	if len(p.Cert) == 0 || len(p.Key) == 0 {
		return "it is missing"
	}
	certs, err := cert.ParseCertsPEM(p.Cert)
	if err != nil {
		return "it cannot be parsed"
	}
	crt := certs[0]
	if parsed, err := keyutil.ParsePrivateKeyPEM(p.Key); err != nil {
		return "its key cannot be parsed"
	} else if key, ok := parsed.(crypto.Signer); !ok || !matches(crt, key) {
		return "its key belongs to another certificate"
	}
	if err := crt.CheckSignatureFrom(by.cert); err != nil {
		return "its authority changed"
	}
	if said := differs(crt, req); said != "" {
		return said
	}
	if !now.Before(RenewAt(crt)) {
		return fmt.Sprintf("it expires on %s", crt.NotAfter.UTC().Format(time.DateOnly))
	}
	return ""
}

// StaleAuthority is Stale for an authority itself.
func StaleAuthority(p Pair, now time.Time) string {
	if len(p.Cert) == 0 || len(p.Key) == 0 {
		return "it is missing"
	}
	a, err := ParseAuthority(p)
	if err != nil {
		return err.Error()
	}
	if !now.Before(RenewAt(a.cert)) {
		return fmt.Sprintf("it expires on %s", a.cert.NotAfter.UTC().Format(time.DateOnly))
	}
	return ""
}

// RenewAt is when a third of the certificate's life is left.
func RenewAt(crt *x509.Certificate) time.Time {
	return crt.NotAfter.Add(-crt.NotAfter.Sub(crt.NotBefore) / 3)
}

// FirstRenewal is the earliest RenewAt of the first certificate in each of the PEM
// blocks; the zero time when there is none.
func FirstRenewal(pems ...[]byte) time.Time {
	var first time.Time
	for _, p := range pems {
		certs, err := cert.ParseCertsPEM(p)
		if err != nil {
			continue
		}
		if at := RenewAt(certs[0]); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// Bundle is the new authority's certificate followed by the old ones that are still
// valid, so that what was signed before stays trusted while consumers follow.
func Bundle(newest, old []byte, now time.Time) []byte {
	out := bytes.Clone(newest)
	certs, err := cert.ParseCertsPEM(old)
	if err != nil {
		return out
	}
	for _, c := range certs {
		pem, err := cert.EncodeCertificates(c)
		if err != nil || !now.Before(c.NotAfter) || bytes.Contains(out, pem) {
			continue
		}
		out = append(out, pem...)
	}
	return out
}

// differs names the first thing that the certificate says otherwise than the request.
func differs(crt *x509.Certificate, req Request) string {
	if crt.Subject.CommonName != req.CommonName {
		return fmt.Sprintf("it names %q, not %q", crt.Subject.CommonName, req.CommonName)
	}
	if !sameSet(crt.Subject.Organization, req.Organization) {
		return "its groups changed"
	}
	if !slices.Contains(crt.ExtKeyUsage, req.Usage) {
		return "its usage changed"
	}
	if !sameSet(crt.DNSNames, req.DNSNames) || !sameSet(texts(crt.IPAddresses), texts(req.IPs)) {
		return "its names changed"
	}
	return ""
}

func texts(ips []net.IP) []string {
	out := make([]string, 0, len(ips))
	for _, ip := range ips {
		out = append(out, ip.String())
	}
	return out
}

func sameSet(a, b []string) bool {
	norm := func(in []string) []string {
		out := slices.Clone(in)
		slices.SortFunc(out, strings.Compare)
		return slices.Compact(out)
	}
	return slices.Equal(norm(a), norm(b))
}

// StaleUnder is Stale for a certificate whose authority's key was not kept: authority
// is its certificate only.
func StaleUnder(p Pair, req Request, authority []byte, now time.Time) string {
	certs, err := cert.ParseCertsPEM(authority)
	if err != nil {
		return "its authority is missing"
	}
	return Stale(p, req, &Authority{cert: certs[0]}, now)
}
