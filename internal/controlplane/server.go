// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"

	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/webhook"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	kubecontrolplane "k8s.io/kubernetes/pkg/controlplane"
	kubeapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
)

// newServer composes one API server from the exported pieces of kube-apiserver, in
// the order of its own app.NewConfig and app.Run, with shared OpenAPI definitions.
func newServer(opts options.CompletedOptions) (*aggregatorapiserver.APIAggregator, *genericapiserver.Config, error) {
	config := &app.Config{Options: opts}
	generic, informers, storage, err := kubeapiserver.BuildGenericConfig(opts.CompletedOptions,
		[]*runtime.Scheme{legacyscheme.Scheme, apiextensionsapiserver.Scheme, aggregatorscheme.Scheme},
		kubecontrolplane.DefaultAPIResourceConfigSource(), sharedDefinitions.get, opts.InformerName)
	if err != nil {
		return nil, nil, fmt.Errorf("configuring the API server: %w", err)
	}
	apis, resolver, initializers, err := app.CreateKubeAPIServerConfig(opts, generic, informers, storage)
	if err != nil {
		return nil, nil, fmt.Errorf("configuring the built-in APIs: %w", err)
	}
	config.KubeAPIs = apis
	cp := apis.ControlPlane
	config.ApiExtensions, err = kubeapiserver.CreateAPIExtensionsConfig(*cp.Generic, cp.VersionedInformers, initializers, opts.CompletedOptions, opts.MasterCount, resolver,
		webhook.NewDefaultAuthenticationInfoResolverWrapper(cp.ProxyTransport, cp.Generic.EgressSelector, cp.Generic.LoopbackClientConfig, cp.Generic.TracerProvider))
	if err != nil {
		return nil, nil, fmt.Errorf("configuring custom resources: %w", err)
	}
	config.Aggregator, err = kubeapiserver.CreateAggregatorConfig(*cp.Generic, opts.CompletedOptions, cp.VersionedInformers, resolver, cp.ProxyTransport, cp.Extra.PeerProxy, initializers)
	if err != nil {
		return nil, nil, fmt.Errorf("configuring API aggregation: %w", err)
	}
	completed, err := config.Complete()
	if err != nil {
		return nil, nil, fmt.Errorf("completing the API server's configuration: %w", err)
	}
	server, err := app.CreateServerChain(completed)
	if err != nil {
		return nil, nil, fmt.Errorf("creating the API server: %w", err)
	}
	return server, generic, nil
}
