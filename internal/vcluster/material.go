// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/vcluster/pki"
)

// Keys of the kubeconfig Secret, as vCluster calls them.
const (
	keyConfig     = "config"
	keyAuthority  = "certificate-authority"
	keyClientCert = "client-certificate"
	keyClientKey  = "client-key"
)

// The administrator of a virtual cluster. The group is bound to cluster-admin inside
// it; system:masters would make a stolen certificate irrevocable.
const (
	adminUser  = "skerry:admin"
	adminGroup = "skerry:admins"
)

// material is what the two Secrets of a virtual cluster are made from.
type material struct {
	name     string   // of the virtual cluster
	dns      []string // of the serving certificate
	ips      []net.IP
	etcdUser string
	etcd     *pki.Authority // signs the tenant's etcd certificate
	now      time.Time
}

// secrets are the data of the two Secrets, and why something in them is new.
type secrets struct {
	controlPlane, kubeconfig map[string][]byte
	reissued                 []string // "apiserver.crt: its names changed"
}

// plan keeps what is good of the existing data (nil for none) and issues the rest. An
// authority near its end gets a new certificate for the same key, because kubeconfigs that people took, and
// programs inside that read theirs once, know the old one; that stays in the bundle until it expires. Whoever
// wants another key deletes ca.key from the Secret. The service account key is never
// replaced: every token in the cluster hangs on it.
func (m material) plan(controlPlane, kubeconfig map[string][]byte) (secrets, error) {
	out := secrets{controlPlane: map[string][]byte{}, kubeconfig: map[string][]byte{}}
	ca, err := m.authority(&out, controlPlane)
	if err != nil {
		return out, err
	}
	if err := m.frontProxy(&out, controlPlane); err != nil {
		return out, err
	}
	if err := m.serviceAccountKey(&out, controlPlane); err != nil {
		return out, err
	}
	data := out.controlPlane
	data[v1alpha1.KeyEtcdCA] = m.etcd.Cert
	for _, leaf := range []struct {
		crt, key string
		by       *pki.Authority
		from, to map[string][]byte
		req      pki.Request
	}{
		{v1alpha1.KeyServingCert, v1alpha1.KeyServingKey, ca, controlPlane, data,
			pki.Request{CommonName: "kube-apiserver", DNSNames: m.dns, IPs: m.ips, Usage: x509.ExtKeyUsageServerAuth}},
		{v1alpha1.KeyEtcdCert, v1alpha1.KeyEtcdKey, m.etcd, controlPlane, data,
			pki.Request{CommonName: m.etcdUser, Usage: x509.ExtKeyUsageClientAuth}},
		{keyClientCert, keyClientKey, ca, kubeconfig, out.kubeconfig,
			pki.Request{CommonName: adminUser, Organization: []string{adminGroup}, Usage: x509.ExtKeyUsageClientAuth}},
	} {
		pair, err := m.leaf(&out, leaf.crt, pki.Pair{Cert: leaf.from[leaf.crt], Key: leaf.from[leaf.key]}, leaf.req, leaf.by)
		if err != nil {
			return out, err
		}
		leaf.to[leaf.crt], leaf.to[leaf.key] = pair.Cert, pair.Key
	}
	return out, m.kubeconfig(&out)
}

func (m material) authority(out *secrets, existing map[string][]byte) (*pki.Authority, error) {
	pair := pki.Pair{Cert: existing[v1alpha1.KeyCACert], Key: existing[v1alpha1.KeyCAKey]}
	if why := pki.StaleAuthority(pair, m.now); why != "" {
		fresh, err := m.renewed(pair)
		if err != nil {
			return nil, err
		}
		out.note(v1alpha1.KeyCACert, why)
		pair = pki.Pair{Cert: pki.Bundle(fresh.Cert, pair.Cert, m.now), Key: fresh.Key}
	}
	ca, err := pki.ParseAuthority(pair)
	if err != nil {
		return nil, err
	}
	out.controlPlane[v1alpha1.KeyCACert], out.controlPlane[v1alpha1.KeyCAKey] = pair.Cert, pair.Key
	return ca, nil
}

// renewed is a new authority, with the key of the one that is there if that is in order.
func (m material) renewed(pair pki.Pair) (*pki.Authority, error) {
	if old, err := pki.ParseAuthority(pair); err == nil {
		return old.Renew(m.now)
	}
	return pki.NewAuthority("skerry:"+m.name, m.now)
}

// frontProxy keeps no authority key: authority and certificate are replaced together.
func (m material) frontProxy(out *secrets, existing map[string][]byte) error {
	req := pki.Request{CommonName: "front-proxy-client", Usage: x509.ExtKeyUsageClientAuth}
	pair := pki.Pair{Cert: existing[v1alpha1.KeyFrontProxyCert], Key: existing[v1alpha1.KeyFrontProxyKey]}
	ca := existing[v1alpha1.KeyFrontProxyCA]
	if why := pki.StaleUnder(pair, req, ca, m.now); why != "" {
		fresh, err := pki.NewAuthority("skerry:"+m.name+":front-proxy", m.now)
		if err != nil {
			return err
		}
		if pair, err = fresh.Issue(req, m.now); err != nil {
			return err
		}
		out.note(v1alpha1.KeyFrontProxyCert, why)
		ca = pki.Bundle(fresh.Cert, ca, m.now)
	}
	out.controlPlane[v1alpha1.KeyFrontProxyCA] = ca
	out.controlPlane[v1alpha1.KeyFrontProxyCert], out.controlPlane[v1alpha1.KeyFrontProxyKey] = pair.Cert, pair.Key
	return nil
}

func (m material) serviceAccountKey(out *secrets, existing map[string][]byte) error {
	key := existing[v1alpha1.KeyServiceAccount]
	if _, err := keyutil.ParsePrivateKeyPEM(key); err != nil {
		if _, key, err = pki.NewKey(); err != nil {
			return err
		}
		out.note(v1alpha1.KeyServiceAccount, "it is missing")
	}
	out.controlPlane[v1alpha1.KeyServiceAccount] = key
	return nil
}

func (m material) leaf(out *secrets, key string, existing pki.Pair, req pki.Request, by *pki.Authority) (pki.Pair, error) {
	why := pki.Stale(existing, req, by, m.now)
	if why == "" {
		return existing, nil
	}
	out.note(key, why)
	return by.Issue(req, m.now)
}

// kubeconfig adds the file for people and the bare parts for programs.
func (m material) kubeconfig(out *secrets) error {
	ca := out.controlPlane[v1alpha1.KeyCACert]
	config, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{m.name: {Server: endpoint(m.name), CertificateAuthorityData: ca}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{m.name: {
			ClientCertificateData: out.kubeconfig[keyClientCert], ClientKeyData: out.kubeconfig[keyClientKey],
		}},
		Contexts:       map[string]*clientcmdapi.Context{m.name: {Cluster: m.name, AuthInfo: m.name}},
		CurrentContext: m.name,
	})
	if err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", m.name, err)
	}
	out.kubeconfig[keyAuthority], out.kubeconfig[keyConfig] = ca, config
	return nil
}

// renewal is when the first certificate must be issued again.
func (s secrets) renewal() time.Time {
	return pki.FirstRenewal(s.controlPlane[v1alpha1.KeyCACert], s.controlPlane[v1alpha1.KeyServingCert],
		s.controlPlane[v1alpha1.KeyFrontProxyCert], s.controlPlane[v1alpha1.KeyEtcdCert], s.kubeconfig[keyClientCert])
}

// digest changes with anything in the control plane Secret.
func (s secrets) digest() string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(s.controlPlane)) {
		fmt.Fprintf(h, "%s %d %s\n", key, len(s.controlPlane[key]), s.controlPlane[key])
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)[:8])
}

func (s *secrets) note(key, why string) { s.reissued = append(s.reissued, key+": "+why) }

// covers reports whether live holds every key of want with the same bytes.
func covers(live, want map[string][]byte) bool {
	for k, v := range want {
		if !bytes.Equal(live[k], v) {
			return false
		}
	}
	return true
}
