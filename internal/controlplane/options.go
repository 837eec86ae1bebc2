// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"net"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/controlplane/reconcilers"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const (
	// Issuer of the ServiceAccount tokens of every virtual cluster. It is the same
	// everywhere because only the cluster's own API server accepts them.
	Issuer = "https://kubernetes.default.svc.cluster.local"

	jwksURI = Issuer + "/openid/v1/jwks"
)

// disabledPlugins of admission need what a virtual cluster does not have: nodes of
// its own, a scheduler, volume controllers.
var disabledPlugins = []string{
	"DefaultStorageClass",          // the host's default applies, when the claim arrives there
	"PersistentVolumeClaimResize",  // looks at storage classes, which the host has
	"StorageObjectInUseProtection", // its finalizer is removed by a controller of volumes
	"TaintNodesByCondition",        // nodes are copies
	"RuntimeClass",                 // runtime classes are the host's
}

// serverOptions are the flags of kube-apiserver for one virtual cluster, as options.
func serverOptions(ctx context.Context, cfg Config, listener net.Listener, f files, name *cache.InformerName) (options.CompletedOptions, error) {
	s := options.NewServerRunOptions()
	s.InformerName = name
	s.AllowPrivileged = true // whether a privileged pod may run is for the host to say
	s.ServiceClusterIPRanges = cfg.ServiceCIDR
	s.EndpointReconcilerType = string(reconcilers.NoneEndpointReconcilerType)

	s.GenericServerRunOptions.AdvertiseAddress = listener.Addr().(*net.TCPAddr).IP
	if cfg.KubernetesServiceIP != nil { // the address that stays, also when it listens on all
		s.GenericServerRunOptions.AdvertiseAddress = cfg.KubernetesServiceIP
	}
	s.SecureServing.Listener = listener
	s.SecureServing.BindAddress = listener.Addr().(*net.TCPAddr).IP
	s.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	s.SecureServing.ServerCert.CertKey.CertFile = f.path(platformv1alpha1.KeyServingCert)
	s.SecureServing.ServerCert.CertKey.KeyFile = f.path(platformv1alpha1.KeyServingKey)

	storage := &s.Etcd.StorageConfig
	storage.Prefix = cfg.EtcdPrefix
	storage.Transport.ServerList = cfg.EtcdEndpoints
	storage.CompactionInterval = 0    // etcd compacts itself, see package etcd
	storage.CountMetricPollPeriod = 0 // nobody reads a tenant's object counts, which cost a request for each kind and minute
	if len(cfg.Secret[platformv1alpha1.KeyEtcdCert]) > 0 {
		storage.Transport.TrustedCAFile = f.path(platformv1alpha1.KeyEtcdCA)
		storage.Transport.CertFile = f.path(platformv1alpha1.KeyEtcdCert)
		storage.Transport.KeyFile = f.path(platformv1alpha1.KeyEtcdKey)
	}

	authenticate(s, f)

	s.Admission.GenericAdmission.DisablePlugins = disabledPlugins
	if cfg.Hooks != nil {
		addPlugins(s.Admission, cfg)
	}
	s.Features.EnablePriorityAndFairness = false
	s.Features.EnableProfiling = false

	completed, err := s.Complete(ctx)
	if err != nil {
		return options.CompletedOptions{}, fmt.Errorf("completing the API server's options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return options.CompletedOptions{}, fmt.Errorf("the API server's options: %w", utilerrors.NewAggregate(errs))
	}
	if cfg.KubernetesServiceIP != nil {
		completed.APIServerServiceIP = cfg.KubernetesServiceIP
	}
	return completed, nil
}

// authenticate accepts client certificates of the cluster's CA, ServiceAccount tokens
// and the front proxy, and authorizes by RBAC.
func authenticate(s *options.ServerRunOptions, f files) {
	authn := s.Authentication
	authn.ClientCert.ClientCA = f.path(platformv1alpha1.KeyCACert)
	authn.RequestHeader.ClientCAFile = f.path(platformv1alpha1.KeyFrontProxyCA)
	authn.RequestHeader.AllowedNames = []string{"front-proxy-client"}
	authn.RequestHeader.UsernameHeaders = []string{"X-Remote-User"}
	authn.RequestHeader.GroupHeaders = []string{"X-Remote-Group"}
	authn.RequestHeader.ExtraHeaderPrefixes = []string{"X-Remote-Extra-"}
	authn.ServiceAccounts.Issuers = []string{Issuer}
	authn.ServiceAccounts.JWKSURI = jwksURI
	authn.ServiceAccounts.KeyFiles = []string{f.path(platformv1alpha1.KeyServiceAccount)}
	authn.ServiceAccounts.ExtendExpiration = false // a token lives as long as it says
	s.ServiceAccountSigningKeyFile = f.path(platformv1alpha1.KeyServiceAccount)
	s.ProxyClientCertFile = f.path(platformv1alpha1.KeyFrontProxyCert)
	s.ProxyClientKeyFile = f.path(platformv1alpha1.KeyFrontProxyKey)
	s.Authorization.Modes = []string{"RBAC"}
}
