// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// tokens keeps, for each Pod that mounts service account tokens, a host Secret with tokens of the
// virtual cluster, bound to the virtual Pod.
type tokens struct{ *tenant }

// ensure writes the Secret before its Pod is made.
func (s *tokens) ensure(ctx context.Context, p podPair) error {
	if len(tokenSources(p.virtual)) == 0 {
		return nil
	}
	secret, err := s.request(ctx, p.virtual)
	if err != nil {
		return err
	}
	err = s.host.Create(ctx, secret)
	if apierrors.IsAlreadyExists(err) {
		return nil // of an earlier attempt at the same Pod: refresh looks after it
	}
	if err != nil {
		return fmt.Errorf("creating the token Secret of Pod %s: %w", p.key, err)
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
		return 0, s.ensure(ctx, p) // its event brings the Pod back here
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

// request asks the virtual API server for the tokens of a Pod.
func (s *tokens) request(ctx context.Context, pod *corev1.Pod) (*corev1.Secret, error) {
	data := map[string][]byte{}
	var refresh time.Time
	now := time.Now()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: serviceAccount(pod)}}
	for _, source := range tokenSources(pod) {
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
