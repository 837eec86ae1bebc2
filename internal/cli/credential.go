// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// minLifetime is the shortest that the API server issues.
	minLifetime = 10 * time.Minute
	// issueTime bounds the wait for a certificate, which the virtual cluster's controllers sign
	// within milliseconds.
	issueTime = 15 * time.Second
	// adminsGroup is bound to cluster-admin in every virtual cluster.
	adminsGroup = "skerry:admins"
)

// credential is a client certificate, PEM.
type credential struct {
	cert, key []byte
	expires   time.Time
}

// issue gets a client certificate for the user through a CertificateSigningRequest, approved as
// the administrator. The request is removed afterwards.
func issue(ctx context.Context, admin *rest.Config, user string, lifetime time.Duration) (credential, error) {
	set, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return credential{}, err
	}
	key, csrPEM, err := signingRequest(user)
	if err != nil {
		return credential{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, issueTime, errTimeout)
	defer cancel()
	csrs := set.CertificatesV1().CertificateSigningRequests()
	seconds := int32(lifetime.Seconds())
	csr, err := csrs.Create(ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "skerry-connect-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: csrPEM, SignerName: certificatesv1.KubeAPIServerClientSignerName, ExpirationSeconds: &seconds,
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth, certificatesv1.UsageDigitalSignature},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return credential{}, fmt.Errorf("asking for it: %w", err)
	}
	defer func() {
		_ = csrs.Delete(context.WithoutCancel(ctx), csr.Name, metav1.DeleteOptions{})
	}()
	csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "SkerryConnect",
		Message: "approved by skerry connect for " + user,
	})
	if _, err := csrs.UpdateApproval(ctx, csr.Name, csr, metav1.UpdateOptions{}); err != nil {
		return credential{}, fmt.Errorf("approving CertificateSigningRequest %s: %w", csr.Name, err)
	}
	cert, err := issued(ctx, set, csr.Name)
	if err != nil {
		return credential{}, err
	}
	block, _ := pem.Decode(cert)
	if block == nil {
		return credential{}, fmt.Errorf("CertificateSigningRequest %s: the certificate is not PEM", csr.Name)
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return credential{}, fmt.Errorf("CertificateSigningRequest %s: %w", csr.Name, err)
	}
	return credential{cert: cert, key: key, expires: parsed.NotAfter}, nil
}

// signingRequest makes a key and a request for the user, both PEM.
func signingRequest(user string) (keyPEM, csrPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a key: %w", err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{Subject: pkix.Name{CommonName: user, Organization: []string{adminsGroup}}}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("making a certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}), nil
}

// issued watches until the certificate is there.
func issued(ctx context.Context, set kubernetes.Interface, name string) ([]byte, error) {
	w, err := set.CertificatesV1().CertificateSigningRequests().Watch(ctx,
		metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		return nil, fmt.Errorf("waiting for CertificateSigningRequest %s: %w", name, err)
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		csr, ok := event.Object.(*certificatesv1.CertificateSigningRequest)
		if !ok {
			break
		}
		if len(csr.Status.Certificate) > 0 {
			return csr.Status.Certificate, nil
		}
		for _, c := range csr.Status.Conditions {
			if c.Type == certificatesv1.CertificateFailed || c.Type == certificatesv1.CertificateDenied {
				return nil, fmt.Errorf("CertificateSigningRequest %s: %s: %s", name, c.Type, c.Message)
			}
		}
	}
	if errors.Is(context.Cause(ctx), errTimeout) {
		return nil, fmt.Errorf("CertificateSigningRequest %s was not signed within %s: is the virtual cluster's controller manager at work?", name, issueTime)
	}
	return nil, fmt.Errorf("CertificateSigningRequest %s: the watch ended before the certificate was there", name)
}

// writeContext puts cluster, user and context of the given name into the kubeconfig file, makes
// the file when there is none, and leaves everything else in it as it is.
func writeContext(file, name string, cluster *clientcmdapi.Cluster, cred credential) error {
	config, err := clientcmd.LoadFromFile(file)
	if errors.Is(err, os.ErrNotExist) {
		config, err = clientcmdapi.NewConfig(), os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	config.Clusters[name] = cluster
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: cred.cert, ClientKeyData: cred.key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: "default"}
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
