// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	etcdkubernetes "go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
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
// throughput that a virtual cluster does not have.
type oneConnection struct {
	generic.RESTOptionsGetter
	client *etcdkubernetes.Client
	// cached says which kinds have a watch cache.
	cached func(schema.GroupResource) bool
}

// useOneConnection changes the configurations of the built-in APIs, of CRDs and their
// objects, and of APIServices.
func useOneConnection(config *app.Config, client *etcdkubernetes.Client) {
	all := func(schema.GroupResource) bool { return true }
	for getter, cached := range map[*generic.RESTOptionsGetter]func(schema.GroupResource) bool{
		&config.KubeAPIs.ControlPlane.Generic.RESTOptionsGetter: builtInCached,
		&config.ApiExtensions.GenericConfig.RESTOptionsGetter:   all,
		&config.ApiExtensions.ExtraConfig.CRDRESTOptionsGetter:  all,
		&config.Aggregator.GenericConfig.RESTOptionsGetter:      all,
	} {
		*getter = &oneConnection{RESTOptionsGetter: *getter, client: client, cached: cached}
	}
}

// builtInCached says which of the built-in kinds have a watch cache: those that several of the
// control plane's own controllers watch, as whole objects or for their metadata. The others are watched
// by one or two, and read and watched in etcd itself, as kube-apiserver does when --watch-cache-sizes
// says 0; a cache is a dozen goroutines for each.
func builtInCached(resource schema.GroupResource) bool {
	return slices.ContainsFunc(heldInFull, func(held schema.GroupVersionResource) bool { return held.GroupResource() == resource })
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (o *oneConnection) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := o.RESTOptionsGetter.GetRESTOptions(resource, example)
	options.Decorator = o.plainStorage
	if o.cached(resource) {
		options.Decorator = o.cachedStorage
	}
	return options, err
}

// plainStorage is generic.UndecoratedStorage with the shared client.
func (o *oneConnection) plainStorage(config *storagebackend.ConfigForResource, resourcePrefix string, _ func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, _ storage.AttrFunc, _ storage.IndexerFuncs, _ *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	return etcdStorage(o.client, config, resourcePrefix, newFunc, newListFunc)
}

// cachedStorage is genericregistry.StorageWithCacher with the shared client.
func (o *oneConnection) cachedStorage(config *storagebackend.ConfigForResource, resourcePrefix string, keyFunc func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	client := withOwnStream(o.client)
	store, destroy, err := etcdStorage(client, config, resourcePrefix, newFunc, newListFunc)
	if err != nil {
		return nil, nil, errors.Join(err, client.Watcher.Close())
	}
	cached, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage: store, Versioner: storage.APIObjectVersioner{}, GroupResource: config.GroupResource,
		EventsHistoryWindow: config.EventsHistoryWindow, ResourcePrefix: resourcePrefix, KeyFunc: keyFunc,
		NewFunc: newFunc, NewListFunc: newListFunc, GetAttrsFunc: attributes, IndexerFuncs: triggers, Indexers: indexers, Codec: config.Codec,
	})
	if err != nil {
		destroy()
		client.Watcher.Close()
		return nil, nil, fmt.Errorf("making the watch cache of %s: %w", config.GroupResource, err)
	}
	delegator := cacher.NewCacheDelegator(cached, store)
	return delegator, sync.OnceFunc(func() { // Kubernetes calls it for each subresource
		delegator.Stop()
		cached.Stop()
		destroy()
		client.Watcher.Close()
	}), nil
}

// withOwnStream gives a client that watches through a stream of its own on the same
// connection. A watch cache must have one: it asks etcd how far the stream is, and etcd does not answer
// as long as any watch of that stream begins later than the last write
// (progressIfSync in go.etcd.io/etcd/server/v3/storage/mvcc). With one stream for all kinds a quiet
// etcd would never answer.
func withOwnStream(shared *etcdkubernetes.Client) *etcdkubernetes.Client {
	client := clientv3.NewCtxClient(shared.Ctx())
	client.KV, client.Lease, client.Maintenance = shared.KV, shared.Lease, shared.Maintenance
	client.Watcher = clientv3.NewWatcher(shared.Client)
	own := &etcdkubernetes.Client{Client: client}
	own.Kubernetes = own
	return own
}

// etcdStorage is what factory.Create makes, but for the client, which is closed by who made it.
func etcdStorage(client *etcdkubernetes.Client, config *storagebackend.ConfigForResource, resourcePrefix string, newFunc, newListFunc func() runtime.Object,
) (storage.Interface, factory.DestroyFunc, error) {
	transformer := config.Transformer
	if transformer == nil {
		transformer = identity.NewEncryptCheckTransformer()
	}
	versioner := storage.APIObjectVersioner{}
	store, err := etcd3.New(client, nil, config.Codec, newFunc, newListFunc, config.Prefix, resourcePrefix, config.GroupResource,
		transformer, config.LeaseManagerConfig, etcd3.NewDefaultDecoder(config.Codec, versioner), versioner)
	if err != nil {
		return nil, nil, fmt.Errorf("making the storage of %s: %w", config.GroupResource, err)
	}
	return store, sync.OnceFunc(store.Close), nil
}
