// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// mergeConfigMap and mergeSecret bring a host object to what the virtual one says.
func (t translator) mergeConfigMap(host, virtual *corev1.ConfigMap) {
	mergeMeta(host, t.hostLabels(virtual), hostAnnotations(virtual))
	host.Data, host.BinaryData, host.Immutable = maps.Clone(virtual.Data), maps.Clone(virtual.BinaryData), virtual.Immutable
}

func (t translator) hostConfigMap(virtual *corev1.ConfigMap) *corev1.ConfigMap {
	host := &corev1.ConfigMap{ObjectMeta: t.hostMeta(virtual)}
	host.Name = hostConfigMap(virtual.Name)
	t.mergeConfigMap(host, virtual)
	return host
}

func (t translator) mergeSecret(host, virtual *corev1.Secret) {
	mergeMeta(host, t.hostLabels(virtual), hostAnnotations(virtual))
	host.Data, host.Type, host.Immutable = maps.Clone(virtual.Data), virtual.Type, virtual.Immutable
}

func (t translator) hostSecret(virtual *corev1.Secret) *corev1.Secret {
	host := &corev1.Secret{ObjectMeta: t.hostMeta(virtual)}
	t.mergeSecret(host, virtual)
	return host
}

// syncedSecretType says which Secrets may leave the virtual cluster: never those
// that hold a token for its API server.
func syncedSecretType(secret *corev1.Secret) bool {
	return !slices.Contains([]corev1.SecretType{
		corev1.SecretTypeServiceAccountToken, corev1.SecretTypeBootstrapToken, helmStorageType,
	}, secret.Type)
}

// offeredSecret says which host-made Secrets appear in the virtual cluster:
// bindings, and the connection Secrets of Releases.
func offeredSecret(host *corev1.Secret) bool {
	_, binding := host.Labels[platformv1alpha1.LabelBinding]
	return binding || host.Type == connectionSecretType
}

func mirrorSecret(namespace string, host *corev1.Secret) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: mirrorMeta(namespace, host), Type: host.Type}
	secret.Data = maps.Clone(host.Data)
	return secret
}

func mergeMirrorSecret(virtual, host *corev1.Secret) {
	mergeMirrorMeta(virtual, host)
	virtual.Data = maps.Clone(host.Data)
}
