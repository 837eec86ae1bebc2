// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Indexes of the virtual cache: which Pods use a ConfigMap, and which Pods and Ingresses a Secret.
const (
	usesConfigMap = "uses.configmap"
	usesSecret    = "uses.secret"
)

// indexReferences has the virtual cache find what uses an object.
func indexReferences(ctx context.Context, mgr manager.Manager) error {
	indexer := mgr.GetFieldIndexer()
	names := func(of func(references) sets.Set[string]) client.IndexerFunc {
		return func(obj client.Object) []string {
			if mirrored(obj) {
				return nil
			}
			return sets.List(of(objectReferences(obj)))
		}
	}
	if err := indexer.IndexField(ctx, &corev1.Pod{}, usesConfigMap, names(configMapsOf)); err != nil {
		return fmt.Errorf("indexing Pods by ConfigMap: %w", err)
	}
	if err := indexer.IndexField(ctx, &corev1.Pod{}, usesSecret, names(secretsOf)); err != nil {
		return fmt.Errorf("indexing Pods by Secret: %w", err)
	}
	if err := indexer.IndexField(ctx, &networkingv1.Ingress{}, usesSecret, names(secretsOf)); err != nil {
		return fmt.Errorf("indexing Ingresses by Secret: %w", err)
	}
	return nil
}

func configMapsOf(refs references) sets.Set[string] { return refs.configMaps }
func secretsOf(refs references) sets.Set[string]    { return refs.secrets }

// objectReferences are the names that a Pod, an Ingress or a Release uses.
func objectReferences(obj client.Object) references {
	switch obj := obj.(type) {
	case *corev1.Pod:
		return podReferences(obj)
	case *networkingv1.Ingress:
		return ingressReferences(obj)
	case *unstructured.Unstructured:
		return releaseReferences(obj)
	}
	return newReferences()
}

// referenced writes what virtual objects use to the host.
type referenced struct{ *tenant }

// ensure brings everything referenced to the host, each kind's objects side by side. What does
// not exist in the virtual cluster is left to the kubelet to complain about, as anywhere.
func (r *referenced) ensure(ctx context.Context, sp *space, namespace string, refs references) error {
	var work []func() error
	for name := range refs.configMaps {
		work = append(work, func() error {
			return ensureOne(ctx, r.tenant, sp, types.NamespacedName{Namespace: namespace, Name: name}, &configMaps{tenant: r.tenant}, hostConfigMap(name))
		})
	}
	for name := range refs.secrets {
		work = append(work, func() error {
			return ensureOne(ctx, r.tenant, sp, types.NamespacedName{Namespace: namespace, Name: name}, &secrets{tenant: r.tenant}, name)
		})
	}
	for name := range refs.claims {
		work = append(work, func() error {
			return ensureOne(ctx, r.tenant, sp, types.NamespacedName{Namespace: namespace, Name: name}, &claims{tenant: r.tenant}, name)
		})
	}
	return together(work)
}

// together runs a few things at the same time and gives the first error in order.
func together(work []func() error) error {
	if len(work) == 1 {
		return work[0]()
	}
	failures := make([]error, len(work))
	var wait sync.WaitGroup
	for i, do := range work {
		wait.Go(func() { failures[i] = do() })
	}
	wait.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

// writer makes or changes one host object from a virtual one.
type writer[S any, T object[S]] interface {
	make(ctx context.Context, p pair[S, T]) error
	change(ctx context.Context, p pair[S, T]) error
}

// ensureOne brings one referenced object to the host. The cache may not have shown it yet when a Pod
// comes right behind it, so one that is missing there is asked for.
func ensureOne[S any, T object[S]](ctx context.Context, t *tenant, sp *space, key types.NamespacedName, w writer[S, T], hostName string) error {
	virtual, err := find[S, T](ctx, t.virtual, key)
	if err == nil && virtual == nil {
		virtual, err = find[S, T](ctx, t.virtualLive, key)
	}
	if err != nil || virtual == nil || mirrored(virtual) || virtual.GetDeletionTimestamp() != nil {
		return err
	}
	host, err := find[S, T](ctx, sp.cache, types.NamespacedName{Namespace: sp.host, Name: hostName})
	if err != nil {
		return err
	}
	p := pair[S, T]{key: key, space: sp, virtual: virtual, host: host}
	if host != nil {
		return w.change(ctx, p)
	}
	return madeByNow(w.make(ctx, p))
}

// madeByNow takes an object that is there already for made: a Pod's and the kind's own
// controller may both want it, and its event is on the way.
func madeByNow(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// usedBy watches what uses a kind: a new user brings the object to the host, the last one's end removes it.
func usedBy(kind client.Object, of func(references) sets.Set[string]) func(*builder.Builder) {
	return func(b *builder.Builder) {
		b.Watches(kind, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []reconcile.Request {
			if mirrored(obj) {
				return nil
			}
			namespace := obj.GetNamespace()
			if release, isRelease := obj.(*unstructured.Unstructured); isRelease {
				namespace = releaseTarget(release)
			}
			var requests []reconcile.Request
			for name := range of(objectReferences(obj)) {
				requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
			}
			return requests
		}), builder.WithPredicates(specChanges))
	}
}

// used says whether something in the virtual cluster uses an object.
func (t *tenant) used(ctx context.Context, key types.NamespacedName, index string, has served) (bool, error) {
	pods := &corev1.PodList{}
	err := t.virtual.List(ctx, pods, client.InNamespace(key.Namespace), client.MatchingFields{index: key.Name}, client.Limit(1))
	if err != nil {
		return false, fmt.Errorf("looking for Pods that use %s: %w", key, err)
	}
	if len(pods.Items) > 0 {
		return true, nil
	}
	if index == usesSecret {
		ingresses := &networkingv1.IngressList{}
		err := t.virtual.List(ctx, ingresses, client.InNamespace(key.Namespace), client.MatchingFields{index: key.Name}, client.Limit(1))
		if err != nil {
			return false, fmt.Errorf("looking for Ingresses that use %s: %w", key, err)
		}
		if len(ingresses.Items) > 0 {
			return true, nil
		}
	}
	releases, err := t.releasesInto(ctx, key.Namespace, has)
	for _, release := range releases {
		refs := releaseReferences(release)
		names := refs.secrets
		if index == usesConfigMap {
			names = refs.configMaps
		}
		if names.Has(key.Name) {
			return true, nil
		}
	}
	return false, err
}

// releasesInto are the virtual Releases of both kinds that install into a namespace.
func (t *tenant) releasesInto(ctx context.Context, namespace string, has served) ([]*unstructured.Unstructured, error) {
	var releases []*unstructured.Unstructured
	add := func(kind client.Object, opts ...client.ListOption) error {
		objects, err := listObjects(ctx, t.virtual, kind, opts...)
		for _, object := range objects {
			if release := object.(*unstructured.Unstructured); releaseTarget(release) == namespace {
				releases = append(releases, release)
			}
		}
		return err
	}
	if has.namespacedReleases {
		if err := add(untyped(namespacedReleaseKind), client.InNamespace(namespace)); err != nil {
			return nil, err
		}
	}
	if has.clusterReleases {
		if err := add(untyped(clusterReleaseKind)); err != nil {
			return nil, err
		}
	}
	return releases, nil
}
