// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"net/http"

	etcdkubernetes "go.etcd.io/etcd/client/v3/kubernetes"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
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
func newServer(opts options.CompletedOptions, hooks Hooks, origin template.Origin, store *etcdkubernetes.Client) (*apiServer, error) {
	config, err := newConfig(opts, store)
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
	slim(builtIn.Handler.GoRestfulContainer, shared)
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

// newConfig is app.NewConfig with our generic parts and one connection to etcd.
func newConfig(opts options.CompletedOptions, store *etcdkubernetes.Client) (*app.Config, error) {
	parts, err := newGeneric(opts, store.Client)
	if err != nil {
		return nil, fmt.Errorf("configuring the API server: %w", err)
	}
	apis, resolver, initializers, err := app.CreateKubeAPIServerConfig(opts, parts.config, parts.informers, parts.storage)
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
	config := &app.Config{Options: opts, KubeAPIs: apis, ApiExtensions: extensions, Aggregator: aggregator}
	useOneConnection(config, store)
	return config, nil
}
