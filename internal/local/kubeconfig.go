// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	certutil "k8s.io/client-go/util/cert"
)

func certPEM(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certutil.CertificateBlockType, Bytes: cert.Raw})
}

// writeKubeconfigs writes the administrator's kubeconfig, which holds its keys, to
// STATE/kubeconfig, and one for each component below STATE/pki.
func writeKubeconfigs(l layout, a Addresses) error {
	if err := writeKubeconfig(l, a, clientAdmin, l.kubeconfig()); err != nil {
		return err
	}
	for _, client := range kubeconfigClients {
		if err := writeKubeconfig(l, a, client, l.clientConfig(client)); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(l layout, a Addresses, client, path string) error {
	var data [3][]byte
	for i, file := range []string{clusterCA + ".crt", client + ".crt", client + ".key"} {
		content, err := os.ReadFile(l.pki(file))
		if err != nil {
			return err
		}
		data[i] = content
	}
	name := "skerry-" + l.name
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: a.Server(), CertificateAuthorityData: data[0]}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: data[1], ClientKeyData: data[2]}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	text, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", client, err)
	}
	return writeFile(path, text, 0o600)
}
