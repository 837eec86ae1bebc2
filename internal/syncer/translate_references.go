// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// references are the names, in one namespace of the virtual cluster, that an object there uses.
type references struct {
	configMaps, secrets, claims sets.Set[string]
}

func newReferences() references {
	return references{configMaps: sets.New[string](), secrets: sets.New[string](), claims: sets.New[string]()}
}

// podReferences finds every ConfigMap, Secret and PersistentVolumeClaim that a Pod
// uses, in volumes, environments and for pulling images.
func podReferences(pod *corev1.Pod) references {
	refs := newReferences()
	for _, secret := range pod.Spec.ImagePullSecrets {
		refs.addSecret(secret.Name)
	}
	for i := range pod.Spec.Volumes {
		refs.addVolume(&pod.Spec.Volumes[i])
	}
	for i := range pod.Spec.InitContainers {
		refs.addEnv(pod.Spec.InitContainers[i].EnvFrom, pod.Spec.InitContainers[i].Env)
	}
	for i := range pod.Spec.Containers {
		refs.addEnv(pod.Spec.Containers[i].EnvFrom, pod.Spec.Containers[i].Env)
	}
	for i := range pod.Spec.EphemeralContainers {
		refs.addEnv(pod.Spec.EphemeralContainers[i].EnvFrom, pod.Spec.EphemeralContainers[i].Env)
	}
	return refs
}

// ingressReferences are the Secrets with the certificates that an Ingress serves.
func ingressReferences(ingress *networkingv1.Ingress) references {
	refs := newReferences()
	for _, tls := range ingress.Spec.TLS {
		refs.addSecret(tls.SecretName)
	}
	return refs
}

func (r references) addVolume(volume *corev1.Volume) {
	switch {
	case volume.ConfigMap != nil:
		r.addConfigMap(volume.ConfigMap.Name)
	case volume.Secret != nil:
		r.addSecret(volume.Secret.SecretName)
	case volume.PersistentVolumeClaim != nil:
		r.claims.Insert(volume.PersistentVolumeClaim.ClaimName)
	case volume.CSI != nil && volume.CSI.NodePublishSecretRef != nil:
		r.addSecret(volume.CSI.NodePublishSecretRef.Name)
	case volume.ISCSI != nil && volume.ISCSI.SecretRef != nil:
		r.addSecret(volume.ISCSI.SecretRef.Name)
	case volume.CephFS != nil && volume.CephFS.SecretRef != nil:
		r.addSecret(volume.CephFS.SecretRef.Name)
	case volume.FlexVolume != nil && volume.FlexVolume.SecretRef != nil:
		r.addSecret(volume.FlexVolume.SecretRef.Name)
	case volume.AzureFile != nil:
		r.addSecret(volume.AzureFile.SecretName)
	case volume.Projected != nil:
		for _, source := range volume.Projected.Sources {
			if source.ConfigMap != nil {
				r.addConfigMap(source.ConfigMap.Name)
			}
			if source.Secret != nil {
				r.addSecret(source.Secret.Name)
			}
		}
	}
}

func (r references) addEnv(from []corev1.EnvFromSource, env []corev1.EnvVar) {
	for _, source := range from {
		if source.ConfigMapRef != nil {
			r.addConfigMap(source.ConfigMapRef.Name)
		}
		if source.SecretRef != nil {
			r.addSecret(source.SecretRef.Name)
		}
	}
	for _, v := range env {
		if v.ValueFrom == nil {
			continue
		}
		if v.ValueFrom.ConfigMapKeyRef != nil {
			r.addConfigMap(v.ValueFrom.ConfigMapKeyRef.Name)
		}
		if v.ValueFrom.SecretKeyRef != nil {
			r.addSecret(v.ValueFrom.SecretKeyRef.Name)
		}
	}
}

func (r references) addConfigMap(name string) {
	if name != "" {
		r.configMaps.Insert(name)
	}
}

func (r references) addSecret(name string) {
	if name != "" {
		r.secrets.Insert(name)
	}
}
