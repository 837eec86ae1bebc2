// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// tokenSource is one service account token that a Pod mounts.
type tokenSource struct {
	key    string // in the host Secret
	source corev1.ServiceAccountTokenProjection
}

// tokenSources lists the tokens that a virtual Pod's projected volumes ask for.
func tokenSources(pod *corev1.Pod) []tokenSource {
	var sources []tokenSource
	for _, volume := range pod.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		for i, source := range volume.Projected.Sources {
			if source.ServiceAccountToken != nil {
				sources = append(sources, tokenSource{key: tokenKey(volume.Name, i), source: *source.ServiceAccountToken})
			}
		}
	}
	return sources
}

// tokenKey is the key of one token in the Pod's token Secret: "VOLUME.INDEX", with the index among
// the volume's sources.
func tokenKey(volume string, index int) string { return volume + "." + strconv.Itoa(index) }

// tokenSecretName is the host Secret with a virtual Pod's tokens.
func tokenSecretName(pod *corev1.Pod) string { return tokenSecretPrefix + string(pod.UID) }

// tokenSecret is that Secret, with the tokens under tokenKey.
func (t translator) tokenSecret(pod *corev1.Pod, tokens map[string][]byte, refresh time.Time) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:      tokenSecretName(pod),
			Namespace: t.hostNamespace(pod.Namespace),
			Labels: map[string]string{
				platformv1alpha1.LabelVirtualCluster: t.cluster,
				platformv1alpha1.LabelOwner:          platformv1alpha1.OwnerVirtual,
				labelTokens:                          "true",
			},
			Annotations: map[string]string{
				platformv1alpha1.AnnotationVirtualUID: string(pod.UID),
				annotationTokenPod:                    pod.Name,
				annotationTokenRefresh:                refresh.UTC().Format(time.RFC3339),
			},
		},
		Data: tokens,
	}
}

// refreshTime is when a token has lived 80% of its life, as the kubelet refreshes
// (k8s.io/kubernetes/pkg/kubelet/token), or a day.
func refreshTime(now, expires time.Time) time.Time {
	return now.Add(min(expires.Sub(now)*8/10, 24*time.Hour))
}

// refreshAt reads when a token Secret must be refilled; the zero time when it does not say.
func refreshAt(secret *corev1.Secret) time.Time {
	at, err := time.Parse(time.RFC3339, secret.Annotations[annotationTokenRefresh])
	if err != nil {
		return time.Time{}
	}
	return at
}

// podReference makes an object go with the host Pod.
func podReference(pod *corev1.Pod) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}
}
