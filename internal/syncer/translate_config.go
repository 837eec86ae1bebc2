// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"maps"

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
	host.Data, host.Type, host.Immutable = maps.Clone(virtual.Data), hostSecretType(virtual), virtual.Immutable
}

func (t translator) hostSecret(virtual *corev1.Secret) *corev1.Secret {
	host := &corev1.Secret{ObjectMeta: t.hostMeta(virtual)}
	t.mergeSecret(host, virtual)
	return host
}

// syncedSecretType says which Secrets may leave the virtual cluster: not those that let nodes join it, nor Helm's records,
// which no Pod uses.
func syncedSecretType(secret *corev1.Secret) bool {
	return secret.Type != corev1.SecretTypeBootstrapToken && secret.Type != helmStorageType
}

// hostSecretType is a Secret's type on the host, where a token of the virtual cluster is of no ServiceAccount: the host's
// controllers would delete it.
func hostSecretType(virtual *corev1.Secret) corev1.SecretType {
	if virtual.Type == corev1.SecretTypeServiceAccountToken {
		return corev1.SecretTypeOpaque
	}
	return virtual.Type
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
