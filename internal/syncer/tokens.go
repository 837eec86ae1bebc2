// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tokens keeps, for each Pod that mounts service account tokens, a host Secret with tokens of the
// virtual cluster, bound to the virtual Pod.
type tokens struct{ *tenant }

// create writes the Secret for a host Pod, when the virtual Pod asks for tokens.
func (s *tokens) create(ctx context.Context, virtual, host *corev1.Pod) error {
	secret, err := s.request(ctx, virtual)
	if err != nil || secret == nil {
		return err
	}
	secret.OwnerReferences = []metav1.OwnerReference{podReference(host)}
	if err := madeByNow(s.host.Create(ctx, secret)); err != nil {
		return fmt.Errorf("creating the token Secret of host Pod %s: %w", client.ObjectKeyFromObject(host), err)
	}
	return nil
}

// refresh makes the Secret go with its Pod and its tokens never expire. It gives the
// time until it must be called again; 0 for a Pod without tokens.
func (s *tokens) refresh(ctx context.Context, p podPair) (time.Duration, error) {
	if len(tokenSources(p.virtual)) == 0 {
		return 0, nil
	}
	have, err := find[corev1.Secret](ctx, p.space.cache, types.NamespacedName{Namespace: p.space.host, Name: tokenSecretName(p.virtual)})
	if err != nil {
		return 0, err
	}
	if have == nil {
		return s.replaceLost(ctx, p)
	}
	before := have.DeepCopy()
	have.OwnerReferences = []metav1.OwnerReference{podReference(p.host)}
	if at := refreshAt(have); time.Now().After(at) {
		fresh, err := s.request(ctx, p.virtual)
		if err != nil {
			return 0, err
		}
		have.Data, have.Annotations = fresh.Data, fresh.Annotations
	}
	if err := patch(ctx, s.host, have, before); err != nil {
		return 0, err
	}
	return max(time.Until(refreshAt(have)), time.Second), nil
}

// replaceLost makes a Secret that the cache does not show. Usually it was made a moment
// ago, so the API server is asked before the virtual one is for new tokens.
func (s *tokens) replaceLost(ctx context.Context, p podPair) (time.Duration, error) {
	secret, err := find[corev1.Secret](ctx, s.host, types.NamespacedName{Namespace: p.space.host, Name: tokenSecretName(p.virtual)})
	if err != nil {
		return 0, err
	}
	if secret == nil {
		return time.Second, s.create(ctx, p.virtual, p.host)
	}
	return max(time.Until(refreshAt(secret)), time.Second), nil
}

// request asks the virtual API server for the tokens of a Pod, and gives the Secret to write; nil when
// the Pod has none.
func (s *tokens) request(ctx context.Context, pod *corev1.Pod) (*corev1.Secret, error) {
	sources := tokenSources(pod)
	if len(sources) == 0 {
		return nil, nil
	}
	data := map[string][]byte{}
	var refresh time.Time
	now := time.Now()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: serviceAccount(pod)}}
	for _, source := range sources {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: source.source.ExpirationSeconds,
			BoundObjectRef: &authenticationv1.BoundObjectReference{
				APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID,
			},
		}}
		if source.source.Audience != "" {
			request.Spec.Audiences = []string{source.source.Audience}
		}
		if err := s.virtual.SubResource("token").Create(ctx, account, request); err != nil {
			return nil, fmt.Errorf("requesting a token of ServiceAccount %s/%s for Pod %s: %w",
				account.Namespace, account.Name, pod.Name, err)
		}
		data[source.key] = []byte(request.Status.Token)
		if at := refreshTime(now, request.Status.ExpirationTimestamp.Time); refresh.IsZero() || at.Before(refresh) {
			refresh = at
		}
	}
	return s.tokenSecret(pod, data, refresh), nil
}
