// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	kubeoptions "k8s.io/kubernetes/pkg/kubeapiserver/options"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// Names of our admission plugins.
const (
	pluginGuard     = "SkerryHostOwned"
	pluginFinalizer = "SkerryHostFinalizer"
	pluginService   = "SkerryService"
)

// addPlugins registers our admission plugins and puts them in order: the guard first,
// because nothing else needs to look at what it refuses; the Service plugin last of those
// that mutate, because it acts on the host and must see the final object.
func addPlugins(o *kubeoptions.AdmissionOptions, cfg Config) {
	generic := o.GenericAdmission
	register := func(name string, plugin admission.Interface) {
		generic.Plugins.Register(name, func(io.Reader) (admission.Interface, error) { return plugin, nil })
	}
	register(pluginGuard, newGuard())
	register(pluginFinalizer, newFinalizerPlugin())
	register(pluginService, newServicePlugin(cfg.Hooks))

	order := slices.Clone(generic.RecommendedPluginOrder)
	order = slices.Insert(order, 0, pluginGuard)
	order = slices.Insert(order, slices.Index(order, "ValidatingAdmissionPolicy"), pluginFinalizer, pluginService)
	if cfg.Quota != nil { // beside Kubernetes' own, for the same reason the last
		register(pluginQuota, newQuotaPlugin(cfg.Name, cfg.Quota))
		order = slices.Insert(order, slices.Index(order, "ResourceQuota"), pluginQuota)
	}
	generic.RecommendedPluginOrder = order
}

// isOurs says whether a request comes from the platform itself: the syncer, or a
// controller of this control plane.
func isOurs(u user.Info) bool {
	return u != nil && (u.GetName() == SyncerUser || u.GetName() == user.APIServerUser)
}

// hostOwned says whether an object is a copy of one whose truth is on the host.
func hostOwned(obj runtime.Object) bool {
	if obj == nil {
		return false
	}
	accessor, err := meta.Accessor(obj)
	return err == nil && accessor.GetLabels()[platformv1alpha1.LabelOwner] == platformv1alpha1.OwnerHost
}
