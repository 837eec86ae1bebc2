// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// fieldOwner is this stage's field manager.
const fieldOwner = "skerry-repo"

// argoSecretName is the name of the repository's Secret in the Argo CD namespace: readable,
// and unique per Repository object.
func argoSecretName(obj *platformv1alpha1.Repository) string {
	sum := sha256.Sum256([]byte(obj.Namespace + "/" + obj.Name))
	return fmt.Sprintf("repo-%s-%s", obj.Name[:min(len(obj.Name), 200)], hex.EncodeToString(sum[:4]))
}

// applyArgoSecret writes the Argo CD repository Secret, with a password that only reads.
// Source of its keys: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories
func (r *reconciler) applyArgoSecret(ctx context.Context, obj *platformv1alpha1.Repository, remote Remote) error {
	name := argoSecretName(obj)
	labels := map[string]string{argov1alpha1.LabelSecretType: argov1alpha1.SecretTypeRepository}
	if claim := obj.Labels[platformv1alpha1.LabelClaim]; claim != "" {
		labels[platformv1alpha1.LabelClaim] = claim
	}
	secret := corev1apply.Secret(name, r.opts.ArgoNamespace).
		WithLabels(labels).
		WithType(corev1.SecretTypeOpaque).
		WithData(map[string][]byte{
			"type": []byte("git"), "url": []byte(remote.CloneURL),
			"username": []byte(remote.Read.Username), "password": []byte(remote.Read.Password),
		})
	if err := r.client.Apply(ctx, secret, client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("writing the repository Secret %s/%s: %w", r.opts.ArgoNamespace, name, err)
	}
	return nil
}

func (r *reconciler) deleteArgoSecret(ctx context.Context, obj *platformv1alpha1.Repository) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.opts.ArgoNamespace, Name: argoSecretName(obj)}}
	if err := r.client.Delete(ctx, secret); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the repository Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}
