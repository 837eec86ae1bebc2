// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func simpleIngress(namespace, name, secret string) *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: networkingv1.IngressSpec{
			TLS: []networkingv1.IngressTLS{{Hosts: []string{"shop.example.com"}, SecretName: secret}},
			DefaultBackend: &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
				Name: name, Port: networkingv1.ServiceBackendPort{Number: 80},
			}},
		},
	}
}

func ingressFollows(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "ingress")
	certificate := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "certificate"}, Type: corev1.SecretTypeTLS,
		StringData: map[string]string{corev1.TLSCertKey: "c", corev1.TLSPrivateKeyKey: "k"},
	}
	ingress := simpleIngress(ns, "shop", "certificate")
	for _, obj := range []client.Object{certificate, ingress} {
		create(t, w.virtual.Client, obj)
	}
	host := await[networkingv1.Ingress](t, w.host.Client, hostNS, "shop", nil)
	await[corev1.Secret](t, w.host.Client, hostNS, "certificate", nil)
	// The host's default class, and what its controller writes.
	update(t, w.host.Client, host, func() { host.Spec.IngressClassName = ptr.To("public") })
	setStatus(t, w.host.Client, host, func() {
		host.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.5"}}
	})
	await(t, w.virtual.Client, ns, "shop", func(i *networkingv1.Ingress) error {
		return want(len(i.Status.LoadBalancer.Ingress) == 1 && i.Status.LoadBalancer.Ingress[0].IP == "192.0.2.5", "its address is %v", i.Status.LoadBalancer)
	})
	update(t, w.virtual.Client, ingress, func() { ingress.Spec.DefaultBackend.Service.Name = "other" })
	await(t, w.host.Client, hostNS, "shop", func(i *networkingv1.Ingress) error {
		return want(i.Spec.DefaultBackend.Service.Name == "other" && ptr.Deref(i.Spec.IngressClassName, "") == "public",
			"the host's is %+v", i.Spec)
	})
	if err := w.virtual.Client.Delete(t.Context(), ingress); err != nil {
		t.Fatal(err)
	}
	gone(t, w.host.Client, &networkingv1.Ingress{}, hostNS, "shop")
	gone(t, w.host.Client, &corev1.Secret{}, hostNS, "certificate")
}

func ingressMirrored(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "charts-ingress")
	w.open(t, ns)
	host := simpleIngress(hostNS, "console", "")
	create(t, w.host.Client, host)
	await(t, w.virtual.Client, ns, "console", func(i *networkingv1.Ingress) error { return want(mirrored(i), "not marked as the host's") })
	update(t, w.host.Client, host, func() { host.Spec.DefaultBackend.Service.Name = "other" })
	await(t, w.virtual.Client, ns, "console", func(i *networkingv1.Ingress) error { return wantEqual(i.Spec.DefaultBackend.Service.Name, "other") })
	if err := w.host.Client.Delete(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &networkingv1.Ingress{}, ns, "console")
}
