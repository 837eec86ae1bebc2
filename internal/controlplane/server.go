// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"net/http"

	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	kubecontrolplane "k8s.io/kubernetes/pkg/controlplane"
	kubeapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	rbacrest "k8s.io/kubernetes/pkg/registry/rbac/rest"
	schedulingrest "k8s.io/kubernetes/pkg/registry/scheduling/rest"

	"github.com/skerry-platform/skerry/internal/controlplane/template"
)

// apiServer is one API server, ready to run.
type apiServer struct {
	// run serves until ctx is done and everything has been drained.
	run func(ctx context.Context) error
	// loopback is how the process itself reaches it, as system:apiserver.
	loopback *rest.Config
	// informers on itself, started by the server.
	informers informers.SharedInformerFactory
}

// newServer composes one API server from the exported pieces of kube-apiserver, in
// the order of its own app.NewConfig and app.Run, with shared OpenAPI definitions and
// our handler in front of the subresources of pods.
func newServer(opts options.CompletedOptions, hooks Hooks, origin template.Origin) (*apiServer, error) {
	config, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	generic := config.KubeAPIs.ControlPlane.Generic
	if hooks != nil {
		build := config.Aggregator.GenericConfig.BuildHandlerChainFunc
		config.Aggregator.GenericConfig.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
			return build(&podProxy{next: api, hooks: hooks, authorizer: generic.Authorization.Authorizer}, c)
		}
	}
	if origin != template.Foreign {
		generic.DisabledPostStartHooks.Insert(rbacrest.PostStartHookName, schedulingrest.PostStartHookName)
	}
	shared := sharedDocuments.exist()
	generic.SkipOpenAPIInstallation = shared
	completed, err := config.Complete()
	if err != nil {
		return nil, fmt.Errorf("completing the API server's configuration: %w", err)
	}
	server, err := app.CreateServerChain(completed)
	if err != nil {
		return nil, fmt.Errorf("creating the API server: %w", err)
	}
	builtIn, ok := server.GenericAPIServer.NextDelegate().(*genericapiserver.GenericAPIServer)
	if !ok {
		return nil, fmt.Errorf("creating the API server: the built-in APIs are a %T", server.GenericAPIServer.NextDelegate())
	}
	if shared {
		if err := sharedDocuments.install(builtIn); err != nil {
			return nil, err
		}
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return nil, fmt.Errorf("preparing the API server: %w", err)
	}
	if !shared {
		sharedDocuments.keep(builtIn)
	}
	return &apiServer{
		run:       prepared.Run,
		loopback:  generic.LoopbackClientConfig,
		informers: config.KubeAPIs.ControlPlane.VersionedInformers,
	}, nil
}

// newConfig is app.NewConfig with shared OpenAPI definitions.
func newConfig(opts options.CompletedOptions) (*app.Config, error) {
	generic, informers, storage, err := kubeapiserver.BuildGenericConfig(opts.CompletedOptions,
		[]*runtime.Scheme{legacyscheme.Scheme, apiextensionsapiserver.Scheme, aggregatorscheme.Scheme},
		kubecontrolplane.DefaultAPIResourceConfigSource(), sharedDefinitions.get, opts.InformerName)
	if err != nil {
		return nil, fmt.Errorf("configuring the API server: %w", err)
	}
	apis, resolver, initializers, err := app.CreateKubeAPIServerConfig(opts, generic, informers, storage)
	if err != nil {
		return nil, fmt.Errorf("configuring the built-in APIs: %w", err)
	}
	cp := apis.ControlPlane
	extensions, err := kubeapiserver.CreateAPIExtensionsConfig(*cp.Generic, cp.VersionedInformers, initializers, opts.CompletedOptions, opts.MasterCount, resolver,
		webhook.NewDefaultAuthenticationInfoResolverWrapper(cp.ProxyTransport, cp.Generic.EgressSelector, cp.Generic.LoopbackClientConfig, cp.Generic.TracerProvider))
	if err != nil {
		return nil, fmt.Errorf("configuring custom resources: %w", err)
	}
	aggregator, err := kubeapiserver.CreateAggregatorConfig(*cp.Generic, opts.CompletedOptions, cp.VersionedInformers, resolver, cp.ProxyTransport, cp.Extra.PeerProxy, initializers)
	if err != nil {
		return nil, fmt.Errorf("configuring API aggregation: %w", err)
	}
	return &app.Config{Options: opts, KubeAPIs: apis, ApiExtensions: extensions, Aggregator: aggregator}, nil
}
