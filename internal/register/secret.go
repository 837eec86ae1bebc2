// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package register

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const (
	// labelVClusterName is the virtual cluster's name, as vCluster's own tools write it.
	labelVClusterName = "vcluster.loft.sh/vcluster-name"
	// annotationRenewAt is when half of the token's life is over (RFC 3339).
	annotationRenewAt = "platform.skerry.dev/renew-at"
	// annotationExpiresAt is when the token is not accepted any more (RFC 3339).
	annotationExpiresAt = "platform.skerry.dev/expires-at"
	// annotationAccess is a hash of the rights that the token's ServiceAccount was given,
	// and of the virtual cluster that it is from.
	annotationAccess = "platform.skerry.dev/access"
)

const secretPrefix = "cluster-"

// SecretName is the name of the cluster Secret in the Argo CD namespace.
func SecretName(virtualCluster string) string { return secretPrefix + virtualCluster }

// clusterConfig is the key config of a cluster Secret, as far as we write it. "insecure" is
// never written: Argo CD would skip the verification.
// Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters
type clusterConfig struct {
	BearerToken     string          `json:"bearerToken"`
	TLSClientConfig tlsClientConfig `json:"tlsClientConfig"`
}

type tlsClientConfig struct {
	CAData []byte `json:"caData"`
}

// registration is what a cluster Secret must say, but for the token.
type registration struct {
	virtualCluster, namespace string
	ca                        []byte // PEM
	access                    string // hash: see accessHash
}

func (r registration) server() string {
	return fmt.Sprintf("https://%s.%s.svc:443", r.virtualCluster, r.virtualCluster)
}

// stale says why the Secret must be written again, "" when it is good until renewAt.
func (r registration) stale(s *corev1.Secret, now time.Time) (why string, renewAt time.Time) {
	if s == nil {
		return "there is none", renewAt
	}
	if s.Annotations[annotationAccess] != r.access {
		return "the rights of the GitOps engine changed", renewAt
	}
	var config clusterConfig
	if err := json.Unmarshal(s.Data["config"], &config); err != nil || config.BearerToken == "" {
		return "it holds no token", renewAt
	}
	if string(config.TLSClientConfig.CAData) != string(r.ca) {
		return "the certificate authority changed", renewAt
	}
	if string(s.Data["server"]) != r.server() || string(s.Data["name"]) != r.virtualCluster || !hasLabels(s, r.labels()) {
		return "somebody changed it", renewAt
	}
	renewAt, err := time.Parse(time.RFC3339, s.Annotations[annotationRenewAt])
	if err != nil {
		return "it does not say how long its token is good", renewAt
	}
	if !now.Before(renewAt) {
		return "half of its token's life is over", renewAt
	}
	return "", renewAt
}

// usable says whether the engine can work with the Secret as it is, be it stale.
func (r registration) usable(s *corev1.Secret, now time.Time) bool {
	if s == nil || s.Annotations[annotationAccess] != r.access {
		return false
	}
	var config clusterConfig
	if err := json.Unmarshal(s.Data["config"], &config); err != nil || config.BearerToken == "" || string(s.Data["server"]) != r.server() {
		return false
	}
	ca := config.TLSClientConfig.CAData // maybe of before a renewal: those stay in the bundle
	expires, err := time.Parse(time.RFC3339, s.Annotations[annotationExpiresAt])
	return err == nil && now.Before(expires) && len(ca) > 0 && bytes.Contains(r.ca, ca)
}

// secret is the whole cluster Secret.
func (r registration) secret(token string, issued, expires time.Time) (*corev1.Secret, error) {
	config, err := json.Marshal(clusterConfig{BearerToken: token, TLSClientConfig: tlsClientConfig{CAData: r.ca}})
	if err != nil {
		return nil, err
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.namespace, Name: SecretName(r.virtualCluster), Labels: r.labels(),
			Annotations: map[string]string{
				annotationAccess:    r.access,
				annotationRenewAt:   halfLife(issued, expires).UTC().Format(time.RFC3339),
				annotationExpiresAt: expires.UTC().Format(time.RFC3339),
			},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{"name": []byte(r.virtualCluster), "server": []byte(r.server()), "config": config},
	}, nil
}

func (r registration) labels() map[string]string {
	return map[string]string{
		argov1alpha1.LabelSecretType: argov1alpha1.SecretTypeCluster,
		labelVClusterName:            r.virtualCluster,
		v1alpha1.LabelVirtualCluster: r.virtualCluster,
	}
}

func hasLabels(s *corev1.Secret, want map[string]string) bool {
	for k, v := range want {
		if s.Labels[k] != v {
			return false
		}
	}
	return true
}

// halfLife is when the token is replaced: early enough that an engine which reads the
// Secret rarely still holds a good one.
func halfLife(issued, expires time.Time) time.Time { return issued.Add(expires.Sub(issued) / 2) }

// accessHash changes when the rights do, or when the cluster is another one of the same name.
func accessHash(uid string, resources []string) string {
	sum := sha256.Sum256([]byte(uid + "\n" + strings.Join(resources, "\n")))
	return hex.EncodeToString(sum[:8])
}
