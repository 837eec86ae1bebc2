// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"
	kubeversion "k8s.io/component-base/version"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/version"
)

// options of `skerry-operator run`, one field a flag.
type options struct {
	namespace, argocdNamespace string

	etcdEndpoints []string
	etcdTLSDir    string

	gitServerURL, gitCredentialsDir string
	gitopsEngine                    string
	webhookAddress, webhookSecret   string
	cacheDir                        string

	repositoryMirrors    map[string]string
	allowedRepositories  []string
	catalogImageRegistry string

	demoImage, domain, kubernetesVersion string

	metricsAddress, healthAddress string
	leaderElect                   bool
	logLevel                      string
}

func newRunCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the controllers",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.namespace, "namespace", platformv1alpha1.SystemNamespace, "namespace where the platform runs")
	f.StringVar(&o.argocdNamespace, "argocd-namespace", "argocd", "namespace of the Argo CD objects")
	f.StringSliceVar(&o.etcdEndpoints, "etcd-endpoints", nil, "URLs of the etcd that holds the virtual clusters")
	f.StringVar(&o.etcdTLSDir, "etcd-tls-dir", "/etc/skerry/etcd", "folder with etcd's authority and the root client certificate")
	f.StringVar(&o.gitServerURL, "git-server-url", "", "URL of the local Git server; empty when there is none")
	f.StringVar(&o.gitCredentialsDir, "git-credentials-dir", "/etc/skerry/git", "folder with the Git server's files username and password")
	f.StringVar(&o.gitopsEngine, "gitops-engine", "builtin", "builtin, or argocd when Argo CD itself runs on the host")
	f.StringVar(&o.webhookAddress, "webhook-address", ":9443", "address of the push webhook (http)")
	f.StringVar(&o.webhookSecret, "webhook-secret-file", "/etc/skerry/webhook/secret", "file with the key that push events are signed with")
	f.StringVar(&o.cacheDir, "cache-dir", "/cache", "writable folder for Git clones")
	f.StringToStringVar(&o.repositoryMirrors, "repository-mirror", nil, "chart repository addresses and where to take them from instead (ADDRESS=ADDRESS)")
	f.StringSliceVar(&o.allowedRepositories, "allowed-repositories", nil, "chart repositories that tenants may name; empty allows all")
	f.StringVar(&o.catalogImageRegistry, "catalog-image-registry", "", "where the catalog's charts take their images from, as REGISTRY[/PATH]; empty: docker.io")
	f.StringVar(&o.demoImage, "demo-image", "skerry.dev/demo:"+version.Version, "image that runs until a claim names one")
	f.StringVar(&o.domain, "domain", "", "domain under which exposed applications answer")
	f.StringVar(&o.kubernetesVersion, "kubernetes-version", strings.TrimPrefix(kubeversion.Get().GitVersion, "v"), "Kubernetes version that the pool serves; a claim that asks for another is refused")
	f.StringVar(&o.metricsAddress, "metrics-address", ":8080", "address of /metrics")
	f.StringVar(&o.healthAddress, "health-address", ":8081", "address of /healthz and /readyz")
	f.StringVar(&o.logLevel, "log-level", "info", logLevelHelp)
	f.BoolVar(&o.leaderElect, "leader-elect", true, "let one of several replicas work at a time")
	return cmd
}
