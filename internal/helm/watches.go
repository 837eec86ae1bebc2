// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

// Names of the indexes over Releases.
const (
	indexHelmName = "skerry.helmName"   // the name of the Helm release
	indexValues   = "skerry.valuesFrom" // "Kind name" of what its values come from
)

// annotationReleaseName is what Helm writes on each object of a release, beside the label
// app.kubernetes.io/managed-by=Helm.
const (
	annotationReleaseName      = "meta.helm.sh/release-name"
	annotationReleaseNamespace = "meta.helm.sh/release-namespace"
	labelManagedBy             = "app.kubernetes.io/managed-by"
)

// addIndexes lets an object find its Releases.
func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &helmv1beta1.Release{}, indexHelmName, func(obj client.Object) []string {
		return []string{helmName(obj.(*helmv1beta1.Release))}
	})
	if err != nil {
		return fmt.Errorf("indexing Releases by Helm release: %w", err)
	}
	err = indexer.IndexField(ctx, &helmv1beta1.Release{}, indexValues, func(obj client.Object) []string {
		return valueSources(obj.(*helmv1beta1.Release).Spec.ForProvider)
	})
	if err != nil {
		return fmt.Errorf("indexing Releases by the objects that their values come from: %w", err)
	}
	return nil
}

// valueSources are the objects that a Release reads, as "Kind name".
func valueSources(p helmv1beta1.ReleaseParameters) []string {
	var names []string
	for _, from := range p.ValuesFrom {
		names = append(names, nameOf(from))
	}
	for _, set := range p.Set {
		if set.ValueFrom != nil {
			names = append(names, nameOf(*set.ValueFrom))
		}
	}
	if ref := p.Chart.PullSecretRef; ref != nil {
		names = append(names, "Secret "+ref.Name)
	}
	return names
}

// watch is one kind that Releases depend on.
type watch struct {
	gvk      schema.GroupVersionKind
	selector labels.Selector
	// keys find the Releases of an object.
	keys []objectKey
}

// objectKey finds the Releases of an object: an index and the value in it, which may be empty. With part
// true the object is one of the release's own.
type objectKey struct {
	index string
	value func(obj client.Object) string
	part  bool
}

// watchesOf lists them. Only metadata is kept in memory: a changed status is a changed
// resourceVersion, and what it says is read when it is needed.
func watchesOf() ([]watch, error) {
	ofHelm := labels.SelectorFromSet(labels.Set{labelManagedBy: "Helm"})
	hasInstance, err := labels.NewRequirement(labelInstance, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("selecting Pods: %w", err)
	}
	notStorage, err := labels.NewRequirement("owner", selection.NotIn, []string{"helm"})
	if err != nil {
		return nil, fmt.Errorf("selecting Secrets: %w", err)
	}
	parts := []objectKey{{index: indexHelmName, part: true, value: func(obj client.Object) string {
		return obj.GetAnnotations()[annotationReleaseName]
	}}}
	pods := []objectKey{{index: indexHelmName, value: func(obj client.Object) string { return obj.GetLabels()[labelInstance] }}}
	values := func(kind string) []objectKey {
		return append(slices.Clone(parts), objectKey{index: indexValues, value: func(obj client.Object) string { return kind + " " + obj.GetName() }})
	}
	return []watch{
		{appsv1.SchemeGroupVersion.WithKind("Deployment"), ofHelm, parts},
		{appsv1.SchemeGroupVersion.WithKind("StatefulSet"), ofHelm, parts},
		{appsv1.SchemeGroupVersion.WithKind("DaemonSet"), ofHelm, parts},
		{batchv1.SchemeGroupVersion.WithKind("Job"), ofHelm, parts},
		{corev1.SchemeGroupVersion.WithKind("Service"), ofHelm, parts},
		{corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"), ofHelm, parts},
		{corev1.SchemeGroupVersion.WithKind("Pod"), labels.NewSelector().Add(*hasInstance), pods},
		{corev1.SchemeGroupVersion.WithKind("Secret"), labels.NewSelector().Add(*notStorage), values("Secret")},
		{corev1.SchemeGroupVersion.WithKind("ConfigMap"), labels.Everything(), values("ConfigMap")},
	}, nil
}

// addWatches gives the controller a cache of its own, because the selectors would be in the
// way of others in the manager's.
func addWatches(mgr manager.Manager, b *builder.Builder, t *tracker) error {
	watches, err := watchesOf()
	if err != nil {
		return err
	}
	byObject := map[client.Object]cache.ByObject{}
	objects := make([]client.Object, len(watches))
	for i, w := range watches {
		objects[i] = metadataOf(w.gvk)
		byObject[objects[i]] = cache.ByObject{Label: w.selector}
	}
	c, err := cache.New(mgr.GetConfig(), cache.Options{
		Scheme:           mgr.GetScheme(),
		Mapper:           mgr.GetRESTMapper(),
		HTTPClient:       mgr.GetHTTPClient(),
		ByObject:         byObject,
		DefaultTransform: stripMetadata,
	})
	if err != nil {
		return fmt.Errorf("preparing the watches of Releases: %w", err)
	}
	if err := mgr.Add(c); err != nil {
		return fmt.Errorf("adding the watches of Releases: %w", err)
	}
	for i, w := range watches {
		for _, key := range w.keys {
			b.WatchesRawSource(source.Kind(c, objects[i], enqueue(releasesOf(mgr.GetClient(), key), t, key.part)))
		}
	}
	return nil
}

// metadataOf is the object that a metadata-only watch of a kind is asked for with.
func metadataOf(gvk schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(gvk)
	return obj
}

// stripMetadata keeps of an object what the keys of watchesOf read.
func stripMetadata(in any) (any, error) {
	obj, ok := in.(*metav1.PartialObjectMetadata)
	if !ok {
		return in, nil
	}
	obj.ManagedFields, obj.OwnerReferences, obj.Finalizers = nil, nil, nil
	kept := map[string]string{}
	if name, ok := obj.Annotations[annotationReleaseName]; ok {
		kept[annotationReleaseName] = name
	}
	obj.Annotations = kept
	return obj, nil
}

// enqueue asks for the Releases of an object, and notes when one of a release's own objects was changed
// or deleted by whomever. A new one is no change: Helm has just made it.
func enqueue(releases handler.MapFunc, t *tracker, part bool) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(ctx context.Context, obj client.Object, q queue, changed bool) {
		for _, req := range releases(ctx, obj) {
			if part && changed {
				t.mark(req.NamespacedName)
			}
			q.Add(req)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { add(ctx, e.Object, q, false) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			// Kinds without a generation have no status worth speaking of either.
			add(ctx, e.ObjectNew, q, e.ObjectNew.GetGeneration() == 0 || e.ObjectNew.GetGeneration() != e.ObjectOld.GetGeneration())
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { add(ctx, e.Object, q, true) },
	}
}

// releasesIn maps a namespace to its Releases: whose it is decides about them, and one that is new to the
// cache, or gets its labels later, is told of after its Releases.
func releasesIn(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, ns client.Object) []reconcile.Request {
		return listReleases(ctx, reader, ns, client.InNamespace(ns.GetName()))
	}
}

// releasesOf maps an object to the Releases of its namespace that its key leads to.
func releasesOf(reader client.Reader, key objectKey) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		value := key.value(obj)
		if value == "" {
			return nil
		}
		return listReleases(ctx, reader, obj, client.InNamespace(obj.GetNamespace()),
			client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector(key.index, value)})
	}
}

// listReleases are those that an event of obj concerns.
func listReleases(ctx context.Context, reader client.Reader, obj client.Object, which ...client.ListOption) []reconcile.Request {
	var releases helmv1beta1.ReleaseList
	if err := reader.List(ctx, &releases, which...); err != nil {
		log.FromContext(ctx).Error(err, "finding the Releases of an object", "namespace", obj.GetNamespace(), "name", obj.GetName())
		return nil
	}
	requests := make([]reconcile.Request, 0, len(releases.Items))
	for i := range releases.Items {
		rel := &releases.Items[i]
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: rel.Namespace, Name: rel.Name}})
	}
	return requests
}
