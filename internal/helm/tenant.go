// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
)

// tenant is on whose behalf a Release acts, and with which clients.
type tenant struct {
	VirtualCluster string
	// Namespace on the host, and the name that the tenant knows it by.
	Namespace, VirtualNamespace string

	config *rest.Config
	client client.Client
}

// serviceAccount that every call is made as, for messages.
func (t *tenant) serviceAccount() string {
	return t.VirtualCluster + "/" + platformv1alpha1.TenantServiceAccount
}

// placement is where a Release is.
type placement struct {
	tenant *tenant
	// Terminating is true when the namespace is being deleted or gone: everything in
	// it goes with it.
	Terminating bool
	// Refused says why nothing is done with a Release here.
	Refused string
}

// place finds the tenant of a namespace: its label names the virtual cluster.
func (r *Reconciler) place(ctx context.Context, namespace string) (placement, error) {
	var ns corev1.Namespace
	if err := r.Get(ctx, client.ObjectKey{Name: namespace}, &ns); err != nil {
		if apierrors.IsNotFound(err) {
			return placement{Terminating: true}, nil
		}
		return placement{}, fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	if ns.DeletionTimestamp != nil {
		return placement{Terminating: true}, nil
	}
	vc, virtual := ns.Labels[platformv1alpha1.LabelVirtualCluster], ns.Labels[platformv1alpha1.LabelVirtualNamespace]
	if vc == "" || virtual == "" {
		return placement{Refused: fmt.Sprintf("namespace %s belongs to no virtual cluster; in this version Releases are served only "+
			"in namespaces of virtual clusters: create the Release inside the virtual cluster", namespace)}, nil
	}
	t := &tenant{VirtualCluster: vc, Namespace: namespace, VirtualNamespace: virtual, config: r.impersonate(vc)}
	var err error
	if t.client, err = client.New(t.config, client.Options{Scheme: r.Scheme(), Mapper: r.RESTMapper()}); err != nil {
		return placement{}, fmt.Errorf("preparing a client for virtual cluster %s: %w", vc, err)
	}
	return placement{tenant: t}, nil
}

// impersonate is a configuration with which every call is made as the tenant.
func (r *Reconciler) impersonate(virtualCluster string) *rest.Config {
	config := rest.CopyConfig(r.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: fmt.Sprintf("system:serviceaccount:%s:%s", virtualCluster, platformv1alpha1.TenantServiceAccount),
	}
	// The API server's own priority and fairness decides; a limit here would be one
	// for all workers of a tenant and for none in sum.
	config.QPS, config.Burst = -1, 0
	return quota.ReportRefusals(config)
}

// read returns a key of a ConfigMap or Secret in the Release's namespace, as the tenant.
func (t *tenant) read(ctx context.Context, from helmv1beta1.ValueFromSource) (string, bool, error) {
	switch {
	case from.ConfigMapKeyRef != nil:
		var cm corev1.ConfigMap
		if err := t.client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: from.ConfigMapKeyRef.Name}, &cm); err != nil {
			return missing(err, from, from.ConfigMapKeyRef.Optional)
		}
		data, ok := cm.Data[keyOf(from)]
		return content(data, ok, from, from.ConfigMapKeyRef.Optional)
	case from.SecretKeyRef != nil:
		var secret corev1.Secret
		if err := t.client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: from.SecretKeyRef.Name}, &secret); err != nil {
			return missing(err, from, from.SecretKeyRef.Optional)
		}
		data, ok := secret.Data[keyOf(from)]
		return content(string(data), ok, from, from.SecretKeyRef.Optional)
	}
	return "", false, refusef("it names neither a configMapKeyRef nor a secretKeyRef")
}

// missing decides about an object that could not be read.
func missing(err error, from helmv1beta1.ValueFromSource, optional bool) (string, bool, error) {
	switch {
	case !apierrors.IsNotFound(err):
		return "", false, fmt.Errorf("reading %s: %w", nameOf(from), err)
	case optional:
		return "", false, nil
	}
	return "", false, refusef("%s does not exist in the Release's namespace; create it, or mark the reference optional", nameOf(from))
}

// content decides about a key.
func content(data string, ok bool, from helmv1beta1.ValueFromSource, optional bool) (string, bool, error) {
	if !ok && !optional {
		return "", false, refusef("%s has no key %q; add it, or mark the reference optional", nameOf(from), keyOf(from))
	}
	return data, ok, nil
}

// credentials reads the Secret of chart.pullSecretRef, as the tenant.
func (t *tenant) credentials(ctx context.Context, p helmv1beta1.ReleaseParameters) (credentials, error) {
	cred := credentials{InsecureSkipTLSVerify: p.InsecureSkipTLSVerify, PlainHTTP: p.PlainHTTP}
	ref := p.Chart.PullSecretRef
	if ref == nil || ref.Name == "" {
		return cred, nil
	}
	for key, to := range map[string]*string{"username": &cred.Username, "password": &cred.Password} {
		data, _, err := t.read(ctx, helmv1beta1.ValueFromSource{SecretKeyRef: &helmv1beta1.DataKeySelector{Name: ref.Name, Key: key}})
		if err != nil {
			return credentials{}, fmt.Errorf("spec.forProvider.chart.pullSecretRef: %w", err)
		}
		*to = data
	}
	return cred, nil
}
