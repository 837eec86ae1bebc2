// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"sync"

	etcdkubernetes "go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// oneConnection gives every kind of a tenant the same etcd client. kube-apiserver makes one
// for each kind: some 80 connections with a TLS handshake, buffers and a dozen goroutines each, which serve
// throughput that a virtual cluster does not have. All that is cached is then watched through one stream.
type oneConnection struct {
	generic.RESTOptionsGetter
	client   *etcdkubernetes.Client
	uncached map[schema.GroupResource]bool
}

// useOneConnection changes the configurations of the built-in APIs, of CRDs and their
// objects, and of APIServices.
func useOneConnection(config *app.Config, etcd *genericoptions.EtcdOptions, client *etcdkubernetes.Client) error {
	sizes, err := genericoptions.ParseWatchCacheSizes(etcd.WatchCacheSizes)
	if err != nil {
		return fmt.Errorf("reading which kinds have no watch cache: %w", err)
	}
	uncached := map[schema.GroupResource]bool{}
	for kind, size := range sizes {
		uncached[kind] = size <= 0
	}
	for _, getter := range []*generic.RESTOptionsGetter{
		&config.KubeAPIs.ControlPlane.Generic.RESTOptionsGetter,
		&config.ApiExtensions.GenericConfig.RESTOptionsGetter,
		&config.ApiExtensions.ExtraConfig.CRDRESTOptionsGetter,
		&config.Aggregator.GenericConfig.RESTOptionsGetter,
	} {
		*getter = &oneConnection{RESTOptionsGetter: *getter, client: client, uncached: uncached}
	}
	return nil
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (o *oneConnection) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := o.RESTOptionsGetter.GetRESTOptions(resource, example)
	options.Decorator = o.cachedStorage
	if o.uncached[resource] {
		options.Decorator = o.plainStorage
	}
	return options, err
}

// plainStorage is generic.UndecoratedStorage with the shared client.
func (o *oneConnection) plainStorage(config *storagebackend.ConfigForResource, resourcePrefix string, _ func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, _ storage.AttrFunc, _ storage.IndexerFuncs, _ *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	return o.etcdStorage(config, resourcePrefix, newFunc, newListFunc)
}

// cachedStorage is genericregistry.StorageWithCacher with the shared client.
func (o *oneConnection) cachedStorage(config *storagebackend.ConfigForResource, resourcePrefix string, keyFunc func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	store, destroy, err := o.etcdStorage(config, resourcePrefix, newFunc, newListFunc)
	if err != nil {
		return nil, nil, err
	}
	cached, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage: store, Versioner: storage.APIObjectVersioner{}, GroupResource: config.GroupResource,
		EventsHistoryWindow: config.EventsHistoryWindow, ResourcePrefix: resourcePrefix, KeyFunc: keyFunc,
		NewFunc: newFunc, NewListFunc: newListFunc, GetAttrsFunc: attributes, IndexerFuncs: triggers, Indexers: indexers, Codec: config.Codec,
	})
	if err != nil {
		destroy()
		return nil, nil, fmt.Errorf("making the watch cache of %s: %w", config.GroupResource, err)
	}
	delegator := cacher.NewCacheDelegator(cached, store)
	return delegator, sync.OnceFunc(func() { // Kubernetes calls it for each subresource
		delegator.Stop()
		cached.Stop()
		destroy()
	}), nil
}

// etcdStorage is what factory.Create makes, but for the client, which is closed by who made it.
func (o *oneConnection) etcdStorage(config *storagebackend.ConfigForResource, resourcePrefix string, newFunc, newListFunc func() runtime.Object) (storage.Interface, factory.DestroyFunc, error) {
	transformer := config.Transformer
	if transformer == nil {
		transformer = identity.NewEncryptCheckTransformer()
	}
	versioner := storage.APIObjectVersioner{}
	store, err := etcd3.New(o.client, nil, config.Codec, newFunc, newListFunc, config.Prefix, resourcePrefix, config.GroupResource,
		transformer, config.LeaseManagerConfig, etcd3.NewDefaultDecoder(config.Codec, versioner), versioner)
	if err != nil {
		return nil, nil, fmt.Errorf("making the storage of %s: %w", config.GroupResource, err)
	}
	return store, sync.OnceFunc(store.Close), nil
}
