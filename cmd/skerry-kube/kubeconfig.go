// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane/pki"
)

// writeKubeconfig writes a kubeconfig for the user and groups with one rename. Its
// certificate is signed by the CA of the control plane Secret; the server is known
// there as localhost, whatever its address.
func writeKubeconfig(path, address string, port int, secret map[string][]byte, user string, groups ...string) error {
	ca, err := pki.LoadCA(secret[platformv1alpha1.KeyCACert], secret[platformv1alpha1.KeyCAKey])
	if err != nil {
		return err
	}
	client, err := ca.Client(user, groups...)
	if err != nil {
		return err
	}
	const name = "skerry"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   "https://" + net.JoinHostPort(address, strconv.Itoa(port)),
		TLSServerName:            "localhost",
		CertificateAuthorityData: secret[platformv1alpha1.KeyCACert],
	}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: client.Cert, ClientKeyData: client.Key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	next := path + ".next"
	if err := clientcmd.WriteToFile(*config, next); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", user, err)
	}
	return os.Rename(next, path)
}
