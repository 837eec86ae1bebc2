// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
)

// fieldOwner is the engine's field manager on a destination, Argo CD's own name.
const fieldOwner = "argocd-controller"

// labelVClusterName, on a cluster Secret, is the virtual cluster's name, as vCluster writes it.
const labelVClusterName = "vcluster.loft.sh/vcluster-name"

// discoveryLimit bounds one request about what a cluster serves.
const discoveryLimit = 10 * time.Second

// errNoCluster: no cluster Secret is for the destination. While deleting, that means that
// the cluster is gone.
var errNoCluster = errors.New("there is no such cluster")

// destination is one cluster that is delivered to, shared by its Applications.
type destination struct {
	name, server string
	// virtualCluster is the name of the VirtualCluster behind it, or empty.
	virtualCluster string
	client         client.Client
	dynamic        dynamic.Interface
	http           *http.Client
	applier        *apply.Applier

	// settings is all of the cluster Secret that needs new connections when it changes;
	// the token does not.
	settings string
	token    *bearer
}

// clusterConfig is the key config of a cluster Secret.
// Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters
type clusterConfig struct {
	Username        string `json:"username,omitempty"`
	Password        string `json:"password,omitempty"`
	BearerToken     string `json:"bearerToken,omitempty"`
	TLSClientConfig struct {
		Insecure   bool   `json:"insecure"`
		ServerName string `json:"serverName,omitempty"`
		CertData   []byte `json:"certData,omitempty"`
		KeyData    []byte `json:"keyData,omitempty"`
		CAData     []byte `json:"caData,omitempty"`
	} `json:"tlsClientConfig"`
}

// bearer puts the newest token on each request, so that a rotation cuts no connection.
type bearer struct {
	token atomic.Pointer[string]
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if token := b.token.Load(); token != nil && *token != "" {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+*token)
	}
	return b.next.RoundTrip(req)
}

// destinations keeps one connection per cluster Secret.
type destinations struct {
	secrets   client.Reader
	namespace string

	mu   sync.Mutex
	open map[string]*destination // by the Secret's name
}

// get finds the destination by name or server, and follows its Secret.
func (d *destinations) get(ctx context.Context, want argov1alpha1.ApplicationDestination) (*destination, error) {
	secret, err := d.find(ctx, want)
	if err != nil {
		return nil, err
	}
	var config clusterConfig
	if err := json.Unmarshal(secret.Data["config"], &config); err != nil {
		return nil, invalidSpec("spec.destination: key config of cluster Secret %s/%s is no JSON", secret.Namespace, secret.Name)
	}
	token := config.BearerToken
	config.BearerToken = ""
	settings, err := json.Marshal([]any{string(secret.Data["name"]), string(secret.Data["server"]), config})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	have := d.open[secret.Name]
	if have == nil || have.settings != string(settings) {
		if have, err = connect(secret, config, string(settings)); err != nil {
			return nil, invalidSpec("spec.destination: cluster Secret %s/%s: %v", secret.Namespace, secret.Name, err)
		}
		if d.open == nil {
			d.open = map[string]*destination{}
		}
		d.open[secret.Name] = have
	}
	have.token.token.Store(&token)
	return have, nil
}

// find returns the one cluster Secret that is meant. There is no cluster without a
// Secret: the host itself is not a destination unless somebody writes one for it.
func (d *destinations) find(ctx context.Context, want argov1alpha1.ApplicationDestination) (*corev1.Secret, error) {
	if (want.Name == "") == (want.Server == "") {
		return nil, invalidSpec("spec.destination: exactly one of name and server is needed")
	}
	list := &corev1.SecretList{}
	err := d.secrets.List(ctx, list, client.InNamespace(d.namespace),
		client.MatchingLabels{argov1alpha1.LabelSecretType: argov1alpha1.SecretTypeCluster})
	if err != nil {
		return nil, fmt.Errorf("reading cluster Secrets: %w", err)
	}
	var found *corev1.Secret
	for i := range list.Items {
		s := &list.Items[i]
		if want.Name != "" && string(s.Data["name"]) != want.Name || want.Server != "" && string(s.Data["server"]) != want.Server {
			continue
		}
		if found != nil {
			return nil, invalidSpec("spec.destination: %s and %s in namespace %s are both cluster Secrets for %s", found.Name, s.Name, d.namespace, firstText(want.Name, want.Server))
		}
		found = s
	}
	if found == nil {
		return nil, &problem{
			condition: argov1alpha1.ConditionInvalidSpecError, cause: errNoCluster,
			message: fmt.Sprintf("spec.destination: there is no cluster %s: no Secret in namespace %s with the label %s: %s names it",
				firstText(want.Name, want.Server), d.namespace, argov1alpha1.LabelSecretType, argov1alpha1.SecretTypeCluster),
		}
	}
	return found, nil
}

// forget lets go of a cluster whose Secret is gone.
func (d *destinations) forget(secretName string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dest := d.open[secretName]; dest != nil {
		dest.http.CloseIdleConnections()
	}
	delete(d.open, secretName)
}

// connect makes the clients of a cluster; nothing is sent yet.
func connect(secret *corev1.Secret, config clusterConfig, settings string) (*destination, error) {
	dest := &destination{
		name: string(secret.Data["name"]), server: string(secret.Data["server"]), settings: settings,
		virtualCluster: firstText(secret.Labels[platformv1alpha1.LabelVirtualCluster], secret.Labels[labelVClusterName]), token: &bearer{},
	}
	cfg := &rest.Config{
		Host: dest.server, Username: config.Username, Password: config.Password, QPS: 50, Burst: 100, UserAgent: fieldOwner, WarningHandler: rest.NoWarnings{},
		TLSClientConfig: rest.TLSClientConfig{
			Insecure: config.TLSClientConfig.Insecure, ServerName: config.TLSClientConfig.ServerName,
			CertData: config.TLSClientConfig.CertData, KeyData: config.TLSClientConfig.KeyData, CAData: config.TLSClientConfig.CAData,
		},
	}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		dest.token.next = next
		return dest.token
	})
	httpClient, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, err
	}
	dest.http = httpClient
	// What a cluster serves is asked without a context, so the client itself must not wait for ever.
	limited := *httpClient
	limited.Timeout = discoveryLimit
	mapper, err := apiutil.NewDynamicRESTMapper(cfg, &limited)
	if err != nil {
		return nil, err
	}
	if dest.client, err = client.New(cfg, client.Options{HTTPClient: httpClient, Mapper: mapper, Scheme: runtime.NewScheme()}); err != nil {
		return nil, err
	}
	if dest.dynamic, err = dynamic.NewForConfigAndClient(cfg, httpClient); err != nil {
		return nil, err
	}
	dest.applier = apply.New(dest.client, fieldOwner)
	return dest, nil
}
