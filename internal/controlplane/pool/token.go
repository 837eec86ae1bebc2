// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/oauth2"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const (
	tokenLifetime = time.Hour
	tokenTimeout  = 10 * time.Second
)

// tenantConfig reaches the host as the tenant's ServiceAccount, so that whatever a
// tenant's syncer does is limited to what the tenant may do. The token is asked for with the
// first request and renewed by itself.
func (r *runner) tenantConfig(virtualCluster string) *rest.Config {
	config := rest.AnonymousClientConfig(r.host)
	config.UserAgent = "skerry-pool/" + virtualCluster
	config.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedTokenSource(&tokenSource{
		ctx: context.WithoutCancel(r.ctx), clients: r.clients, namespace: virtualCluster,
	})))
	return config
}

// tokenSource asks for tokens with the TokenRequest API.
type tokenSource struct {
	ctx       context.Context // oauth2.TokenSource has no place for the caller's
	clients   kubernetes.Interface
	namespace string
}

// Token is to be renewed at 80% of its life, as kubelets do: until it ends, a renewal
// that fails can be tried again with each request.
func (s *tokenSource) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(s.ctx, tokenTimeout)
	defer cancel()
	seconds := int64(tokenLifetime.Seconds())
	asked := time.Now()
	got, err := s.clients.CoreV1().ServiceAccounts(s.namespace).CreateToken(ctx, platformv1alpha1.TenantServiceAccount,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking for a token of ServiceAccount %s/%s: %w", s.namespace, platformv1alpha1.TenantServiceAccount, err)
	}
	life := got.Status.ExpirationTimestamp.Sub(asked)
	return &oauth2.Token{AccessToken: got.Status.Token, TokenType: "Bearer", Expiry: asked.Add(life * 4 / 5)}, nil
}
