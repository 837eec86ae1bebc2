// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// scheme knows every typed kind that is synced. Releases and definitions are
// handled as unstructured: their engines may be newer than we are.
var scheme = newScheme()

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(platformv1alpha1.AddToScheme(s))
	return s
}

// restMapper knows the same kinds without asking an API server: discovery would cost every tenant
// requests at its start and memory for kinds that it never syncs.
func restMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	add := func(kind schema.GroupVersionKind, scope meta.RESTScope) {
		mapper.Add(kind, scope)
		kind.Kind += "List" // caches ask for the scope of the list's kind
		mapper.Add(kind, scope)
	}
	for _, kind := range []string{
		"Pod", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim", "Event", "ServiceAccount", "Binding",
	} {
		add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	add(corev1.SchemeGroupVersion.WithKind("PersistentVolume"), meta.RESTScopeRoot)
	add(storagev1.SchemeGroupVersion.WithKind("StorageClass"), meta.RESTScopeRoot)
	add(discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), meta.RESTScopeNamespace)
	add(networkingv1.SchemeGroupVersion.WithKind("Ingress"), meta.RESTScopeNamespace)
	add(policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), meta.RESTScopeNamespace)
	add(platformv1alpha1.GroupVersion.WithKind("VirtualNamespace"), meta.RESTScopeNamespace)
	add(clusterReleaseKind, meta.RESTScopeRoot)
	add(namespacedReleaseKind, meta.RESTScopeNamespace)
	for _, kind := range definitionKinds {
		add(kind, meta.RESTScopeNamespace)
	}
	return mapper
}

func staticMapper(*rest.Config, *http.Client) (meta.RESTMapper, error) { return restMapper(), nil }

// served says which optional kinds the two API servers have. One that is missing
// must not hold up the rest.
type served struct {
	clusterReleases, namespacedReleases bool // in the virtual cluster
	hostReleases                        bool
	definitions                         []schema.GroupVersionKind // in the virtual cluster
}

func servedKinds(virtual, host discovery.DiscoveryInterface) (served, error) {
	var s served
	for _, ask := range []struct {
		api  discovery.DiscoveryInterface
		kind schema.GroupVersionKind
		has  *bool
	}{
		{virtual, clusterReleaseKind, &s.clusterReleases},
		{virtual, namespacedReleaseKind, &s.namespacedReleases},
		{host, namespacedReleaseKind, &s.hostReleases},
	} {
		has, err := serves(ask.api, ask.kind)
		if err != nil {
			return s, err
		}
		*ask.has = has
	}
	for _, kind := range definitionKinds {
		has, err := serves(virtual, kind)
		if err != nil {
			return s, err
		}
		if has {
			s.definitions = append(s.definitions, kind)
		}
	}
	return s, nil
}

func serves(api discovery.DiscoveryInterface, kind schema.GroupVersionKind) (bool, error) {
	resources, err := api.ServerResourcesForGroupVersion(kind.GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking whether %s is served: %w", kind.GroupKind(), err)
	}
	for _, resource := range resources.APIResources {
		if resource.Kind == kind.Kind {
			return true, nil
		}
	}
	return false, nil
}
