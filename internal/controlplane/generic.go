// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"net/http"
	"path"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/server/healthz"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	kubecontrolplane "k8s.io/kubernetes/pkg/controlplane"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	kubeapiserver "k8s.io/kubernetes/pkg/kubeapiserver"

	"github.com/skerry-platform/skerry/internal/controlplane/pki"
)

// resyncInformers is how often the API server's own informers tell their handlers everything.
const resyncInformers = 10 * time.Minute

// genericParts are what the three APIs of a server (built-in, custom, aggregated) have in common.
type genericParts struct {
	config    *genericapiserver.Config
	informers informers.SharedInformerFactory
	storage   *serverstorage.DefaultStorageFactory
}

// newGeneric does the work of kube-apiserver's BuildGenericConfig for the options that a
// virtual cluster has. Two things are different: OpenAPI definitions are shared, and
// the certificate that the process reaches itself by has an elliptic key. Making the two RSA
// keys of the other costs 150 ms or more of processor time, half of what a start has.
func newGeneric(opts options.CompletedOptions, store *clientv3.Client) (parts genericParts, err error) {
	config := genericapiserver.NewConfig(legacyscheme.Codecs)
	config.Flagz = opts.Flagz
	config.MergedResourceConfig = kubecontrolplane.DefaultAPIResourceConfigSource()
	config.LongRunningFunc = filters.BasicLongRunningRequestCheck(
		sets.NewString("watch", "proxy"), sets.NewString("attach", "exec", "proxy", "log", "portforward"))
	config.AggregatedDiscoveryGroupManager = aggregated.NewResourceManager("apis")
	if err := opts.GenericServerRunOptions.ApplyTo(config); err != nil {
		return parts, fmt.Errorf("applying the general options: %w", err)
	}
	if err := secureServing(opts, config); err != nil {
		return parts, err
	}
	client, err := kubernetes.NewForConfig(config.LoopbackClientConfig)
	if err != nil {
		return parts, fmt.Errorf("making the API server's client of itself: %w", err)
	}
	parts = genericParts{config: config, informers: informers.NewSharedInformerFactoryWithOptions(client, resyncInformers,
		informers.WithTransform(withoutManagedFields), informers.WithInformerName(opts.InformerName))}
	if err := opts.Features.ApplyTo(config, client, parts.informers); err != nil {
		return parts, fmt.Errorf("applying the features: %w", err)
	}
	if err := opts.APIEnablement.ApplyTo(config, config.MergedResourceConfig, legacyscheme.Scheme); err != nil {
		return parts, fmt.Errorf("choosing the APIs: %w", err)
	}
	if err := opts.EgressSelector.ApplyTo(config); err != nil {
		return parts, fmt.Errorf("applying the egress selector: %w", err)
	}
	if err := opts.Traces.ApplyTo(config.EgressSelector, config); err != nil {
		return parts, fmt.Errorf("applying the tracing options: %w", err)
	}
	describe(config)
	if parts.storage, err = storageFactory(opts, config, store); err != nil {
		return parts, err
	}
	return parts, access(opts, config, client, parts.informers)
}

// secureServing makes the listener's configuration and the API server's way to itself, which
// no name that a client asks for leads to.
func secureServing(opts options.CompletedOptions, config *genericapiserver.Config) error {
	if err := opts.SecureServing.SecureServingOptions.ApplyTo(&config.SecureServing); err != nil {
		return fmt.Errorf("applying the serving options: %w", err)
	}
	const name = genericapiserver.LoopbackClientServerNameOverride
	ca, err := pki.NewCA(name)
	if err != nil {
		return err
	}
	pair, err := ca.Serving(name, []string{name}, nil)
	if err != nil {
		return err
	}
	content, err := dynamiccertificates.NewStaticSNICertKeyContent("self-signed loopback", pair.Cert, pair.Key, name)
	if err != nil {
		return fmt.Errorf("using the loopback certificate: %w", err)
	}
	serving := config.SecureServing
	serving.SNICerts = append([]dynamiccertificates.SNICertKeyContentProvider{content}, serving.SNICerts...)
	if config.LoopbackClientConfig, err = serving.NewLoopbackClientConfig(string(uuid.NewUUID()), ca.Cert); err != nil {
		return fmt.Errorf("making the loopback configuration: %w", err)
	}
	config.LoopbackClientConfig.ContentConfig.ContentType = "application/vnd.kubernetes.protobuf"
	config.LoopbackClientConfig.DisableCompression = true // it is on this machine
	return nil
}

func withoutManagedFields(obj any) (any, error) {
	if accessor, err := meta.Accessor(obj); err == nil && accessor.GetManagedFields() != nil {
		accessor.SetManagedFields(nil)
	}
	return obj, nil
}

// describe sets what OpenAPI documents are made from.
func describe(config *genericapiserver.Config) {
	definitions := openapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(sharedDefinitions.get)
	namer := openapinamer.NewDefinitionNamer(legacyscheme.Scheme, apiextensionsapiserver.Scheme, aggregatorscheme.Scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	config.OpenAPIConfig.Info.Title, config.OpenAPIV3Config.Info.Title = "Kubernetes", "Kubernetes"
}

// storageFactory says how each kind is stored, and lets the API server's health depend on etcd.
func storageFactory(opts options.CompletedOptions, config *genericapiserver.Config, store *clientv3.Client) (*serverstorage.DefaultStorageFactory, error) {
	opts.Etcd.StorageConfig.Transport.TracerProvider = config.TracerProvider
	factoryConfig := kubeapiserver.NewStorageFactoryConfigEffectiveVersion(config.EffectiveVersion)
	factoryConfig.APIResourceConfig = config.MergedResourceConfig
	factoryConfig.DefaultResourceEncoding.SetEffectiveVersion(config.EffectiveVersion)
	factory, err := factoryConfig.Complete(opts.Etcd).New()
	if err != nil {
		return nil, fmt.Errorf("choosing the form of stored objects: %w", err)
	}
	factory.StorageConfig.StorageObjectCountTracker = config.StorageObjectCountTracker
	opts.Etcd.SkipHealthEndpoints = true // each would have a connection of its own
	if err := opts.Etcd.ApplyWithStorageFactoryTo(factory, config); err != nil {
		return nil, fmt.Errorf("applying the etcd options: %w", err)
	}
	key := path.Join("/", opts.Etcd.StorageConfig.Prefix, "health")
	config.AddHealthChecks(healthz.NamedCheck("etcd", func(r *http.Request) error {
		_, err := store.Get(r.Context(), key)
		return err
	}))
	return factory, nil
}

// access sets who is let in, and what they may do.
func access(opts options.CompletedOptions, config *genericapiserver.Config, client kubernetes.Interface, factory informers.SharedInformerFactory) error {
	ctx := wait.ContextForChannel(config.DrainedNotify())
	err := opts.Authentication.ApplyTo(ctx, &config.Authentication, config.SecureServing, config.EgressSelector,
		config.OpenAPIConfig, config.OpenAPIV3Config, client, factory, config.APIServerID)
	if err != nil {
		return fmt.Errorf("applying the authentication options: %w", err)
	}
	config.Authorization.Authorizer, config.RuleResolver, _, err = controlplaneapiserver.BuildAuthorizer(ctx, opts.CompletedOptions, config.EgressSelector, config.APIServerID, factory)
	if err != nil {
		return fmt.Errorf("making the authorizer: %w", err)
	}
	if err := opts.Audit.ApplyTo(config); err != nil {
		return fmt.Errorf("applying the audit options: %w", err)
	}
	return nil
}
