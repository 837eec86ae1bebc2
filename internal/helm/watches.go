// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
	annotationReleaseName = "meta.helm.sh/release-name"
	labelManagedBy        = "app.kubernetes.io/managed-by"
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
	// key finds the Releases of an object: an index and the value in it.
	key func(obj client.Object) (index, value string)
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
	byAnnotation := func(obj client.Object) (string, string) {
		return indexHelmName, obj.GetAnnotations()[annotationReleaseName]
	}
	byInstance := func(obj client.Object) (string, string) { return indexHelmName, obj.GetLabels()[labelInstance] }
	byName := func(kind string) func(client.Object) (string, string) {
		return func(obj client.Object) (string, string) { return indexValues, kind + " " + obj.GetName() }
	}
	return []watch{
		{appsv1.SchemeGroupVersion.WithKind("Deployment"), ofHelm, byAnnotation},
		{appsv1.SchemeGroupVersion.WithKind("StatefulSet"), ofHelm, byAnnotation},
		{appsv1.SchemeGroupVersion.WithKind("DaemonSet"), ofHelm, byAnnotation},
		{batchv1.SchemeGroupVersion.WithKind("Job"), ofHelm, byAnnotation},
		{corev1.SchemeGroupVersion.WithKind("Service"), ofHelm, byAnnotation},
		{corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"), ofHelm, byAnnotation},
		{corev1.SchemeGroupVersion.WithKind("Pod"), labels.NewSelector().Add(*hasInstance), byInstance},
		{corev1.SchemeGroupVersion.WithKind("Secret"), labels.NewSelector().Add(*notStorage), byName("Secret")},
		{corev1.SchemeGroupVersion.WithKind("ConfigMap"), labels.Everything(), byName("ConfigMap")},
	}, nil
}

// addWatches gives the controller a cache of its own, because the selectors would be in the
// way of others in the manager's.
func addWatches(mgr manager.Manager, b *builder.Builder) error {
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
		b.WatchesRawSource(source.Kind(c, objects[i], handler.EnqueueRequestsFromMapFunc(releasesOf(mgr.GetClient(), w.key))))
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

// releasesOf maps an object to the Releases of its namespace that its key leads to.
func releasesOf(reader client.Reader, key func(client.Object) (string, string)) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		index, value := key(obj)
		if value == "" {
			return nil
		}
		var releases helmv1beta1.ReleaseList
		err := reader.List(ctx, &releases, client.InNamespace(obj.GetNamespace()),
			client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector(index, value)})
		if err != nil {
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
}
