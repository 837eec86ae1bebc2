// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// usesSecretAndConfig is a Pod that mounts a Secret, takes its environment from a ConfigMap and pulls with a Secret.
func usesSecretAndConfig(namespace, name, secret, config, pull string) *corev1.Pod {
	pod := simplePod(namespace, name)
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: pull}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}}
	pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: config}}},
	}
	return pod
}

// configKinds takes the unusual ones: a large ConfigMap that may not change, a ServiceAccount's token, a registry's password.
func configKinds(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "config-kinds")
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	large := strings.Repeat("x", 1<<20-1024)
	config := &corev1.ConfigMap{ObjectMeta: meta("large"), Immutable: ptr.To(true), Data: map[string]string{"k": large}}
	token := &corev1.Secret{ObjectMeta: meta("token"), Type: corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"token": []byte("t")}}
	token.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
	pull := &corev1.Secret{ObjectMeta: meta("pull"), Type: corev1.SecretTypeDockerConfigJson, StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`}}
	for _, obj := range []client.Object{config, token, pull} {
		create(t, w.virtual.Client, obj)
	}
	create(t, w.virtual.Client, usesSecretAndConfig(ns, "web", "token", "large", "pull"))
	await[corev1.Pod](t, w.host.Client, hostNS, "web", nil)
	onHost := await[corev1.ConfigMap](t, w.host.Client, hostNS, "large", nil)
	if len(onHost.Data["k"]) != len(large) || !isTrue(onHost.Immutable) {
		t.Errorf("the host's ConfigMap has %d bytes", len(onHost.Data["k"]))
	}
	await(t, w.host.Client, hostNS, "token", func(s *corev1.Secret) error {
		return want(s.Type == corev1.SecretTypeOpaque && string(s.Data["token"]) != "", "the token is %s with %d keys", s.Type, len(s.Data))
	})
	await(t, w.host.Client, hostNS, "pull", func(s *corev1.Secret) error { return wantEqual(s.Type, corev1.SecretTypeDockerConfigJson) })

	if err := w.virtual.Client.Delete(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	anew := &corev1.ConfigMap{ObjectMeta: meta("large"), Data: map[string]string{"k": "small"}}
	create(t, w.virtual.Client, anew)
	await(t, w.host.Client, hostNS, "large", func(c *corev1.ConfigMap) error {
		return want(c.Data["k"] == "small" && virtualUID(c) == anew.UID && !isTrue(c.Immutable), "the host still has the ConfigMap before it")
	})
}

// hostEditsUndone changes on the host what belongs to the virtual cluster.
func hostEditsUndone(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "edits")
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "config"}, Data: map[string]string{"k": "ours"}}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "secret"}, StringData: map[string]string{"k": "ours"}}
	for _, obj := range []client.Object{config, secret, simpleService(ns, "web"), usesSecretAndConfig(ns, "web", "secret", "config", "none")} {
		create(t, w.virtual.Client, obj)
	}
	onHost := await[corev1.ConfigMap](t, w.host.Client, hostNS, "config", nil)
	update(t, w.host.Client, onHost, func() { onHost.Data["k"] = "theirs" })
	await(t, w.host.Client, hostNS, "config", func(c *corev1.ConfigMap) error { return wantEqual(c.Data["k"], "ours") })

	hidden := await[corev1.Secret](t, w.host.Client, hostNS, "secret", nil)
	if err := w.host.Client.Delete(t.Context(), hidden); err != nil {
		t.Fatal(err)
	}
	await(t, w.host.Client, hostNS, "secret", func(s *corev1.Secret) error {
		return want(s.UID != hidden.UID && string(s.Data["k"]) == "ours", "not made again")
	})

	service := await[corev1.Service](t, w.host.Client, hostNS, "web", nil)
	update(t, w.host.Client, service, func() { service.Spec.Selector = map[string]string{"app": "theirs"} })
	await(t, w.host.Client, hostNS, "web", func(s *corev1.Service) error { return wantEqual(s.Spec.Selector["app"], "web") })
}
