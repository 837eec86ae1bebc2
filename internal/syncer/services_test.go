// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

func simpleService(namespace, name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}},
	}
}

func serviceAllocated(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "allocated")
	virtual := simpleService(ns, "web")
	virtual.Spec.Type = corev1.ServiceTypeNodePort

	// What admission does.
	request, answered := context.WithCancel(t.Context())
	host, err := w.syncer.AllocateService(request, virtual)
	if err != nil {
		t.Fatal(err)
	}
	virtual.Spec.ClusterIP, virtual.Spec.ClusterIPs = host.Spec.ClusterIP, host.Spec.ClusterIPs
	virtual.Spec.Ports[0].NodePort = host.Spec.Ports[0].NodePort
	create(t, w.virtual.Client, virtual)
	answered()

	again, err := w.syncer.AllocateService(t.Context(), virtual)
	if err != nil || again.UID != host.UID {
		t.Errorf("a second attempt gives %v, %v; want the same Service", again, err)
	}
	update(t, w.virtual.Client, virtual, func() {
		virtual.Spec.Ports = append(virtual.Spec.Ports, corev1.ServicePort{Name: "more", Port: 81, Protocol: corev1.ProtocolTCP})
	})
	await(t, w.host.Client, hostNS, "web", func(s *corev1.Service) error {
		return want(s.UID == host.UID && len(s.Spec.Ports) == 2, "host Service %s has %d ports", s.UID, len(s.Spec.Ports))
	})
	held := await(t, w.virtual.Client, ns, "web", func(s *corev1.Service) error {
		onHost := &corev1.Service{}
		if err := w.host.Client.Get(t.Context(), client.ObjectKey{Namespace: hostNS, Name: "web"}, onHost); err != nil {
			return err
		}
		return want(len(s.Spec.Ports) == 2 && s.Spec.Ports[1].NodePort == onHost.Spec.Ports[1].NodePort,
			"node ports are %v, on the host %v", s.Spec.Ports, onHost.Spec.Ports)
	})
	// As admission adds it.
	update(t, w.virtual.Client, held, func() { held.Finalizers = []string{platformv1alpha1.FinalizerHost} })
	if err := w.virtual.Client.Delete(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Service{}, ns, "web")
	gone(t, w.host.Client, &corev1.Service{}, hostNS, "web")
}

// serviceEventFirst has a host controller tell of a Service whose virtual one is still on its way into etcd.
func serviceEventFirst(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "event-first")
	w.open(t, ns)
	virtual := simpleService(ns, "web")
	request, answered := context.WithCancel(t.Context())
	host, err := w.syncer.AllocateService(request, virtual)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"web", "opens"} {
		create(t, w.host.Client, &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: hostNS, Name: name + ".told"},
			InvolvedObject: corev1.ObjectReference{Kind: "Service", Namespace: hostNS, Name: name, APIVersion: "v1"},
			Reason:         "EnsuringLoadBalancer", Type: "Normal", LastTimestamp: metav1.Now(),
		})
	}
	await[corev1.Event](t, w.virtual.Client, ns, "opens.told", nil) // so the one before it has been looked at
	virtual.Spec.ClusterIP, virtual.Spec.ClusterIPs = host.Spec.ClusterIP, host.Spec.ClusterIPs
	create(t, w.virtual.Client, virtual)
	answered()
	await(t, w.virtual.Client, ns, "web.told", func(e *corev1.Event) error { return wantEqual(e.InvolvedObject.UID, virtual.UID) })
}

func serviceNeverCreated(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "never-created")
	w.open(t, ns)
	request, answered := context.WithCancel(t.Context())
	if _, err := w.syncer.AllocateService(request, simpleService(ns, "web")); err != nil {
		t.Fatal(err)
	}
	answered() // with an error: something after our admission refused it
	gone(t, w.host.Client, &corev1.Service{}, hostNS, "web")

	own, err := w.syncer.AllocateService(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"}})
	if own != nil || err != nil {
		t.Errorf("default/kubernetes gives %v, %v; want nothing", own, err)
	}
}

// serviceTwice asks for a Service that exists, with other ports: the API server will refuse it after admission.
func serviceTwice(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "twice")
	create(t, w.virtual.Client, simpleService(ns, "web"))
	host := await(t, w.host.Client, hostNS, "web", func(s *corev1.Service) error { return want(virtualUID(s) != "", "not ours") })
	again := simpleService(ns, "web")
	again.Spec.Ports[0].Port = 8080
	given, err := w.syncer.AllocateService(t.Context(), again)
	if err != nil || given.UID != host.UID {
		t.Errorf("a second creation gives %v, %v", given, err)
	}
	now := await[corev1.Service](t, w.host.Client, hostNS, "web", nil)
	if now.ResourceVersion != host.ResourceVersion {
		t.Errorf("it changed the Service that is there: ports are %v", now.Spec.Ports)
	}
}

func serviceTypes(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "types")
	headless, external, balanced := simpleService(ns, "headless"), simpleService(ns, "external"), simpleService(ns, "balanced")
	headless.Spec.ClusterIP = corev1.ClusterIPNone
	external.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.example.com"}
	balanced.Spec.Type = corev1.ServiceTypeLoadBalancer
	for _, service := range []*corev1.Service{headless, external, balanced} {
		create(t, w.virtual.Client, service)
	}
	await(t, w.host.Client, hostNS, "headless", func(s *corev1.Service) error { return wantEqual(s.Spec.ClusterIP, corev1.ClusterIPNone) })
	await(t, w.host.Client, hostNS, "external", func(s *corev1.Service) error { return wantEqual(s.Spec.ExternalName, "db.example.com") })
	host := await(t, w.host.Client, hostNS, "balanced", func(s *corev1.Service) error { return wantEqual(s.Spec.Type, corev1.ServiceTypeLoadBalancer) })
	setStatus(t, w.host.Client, host, func() { host.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.9"}} })
	await(t, w.virtual.Client, ns, "balanced", func(s *corev1.Service) error {
		return want(len(s.Status.LoadBalancer.Ingress) == 1 && s.Status.LoadBalancer.Ingress[0].IP == "192.0.2.9" && s.Spec.Ports[0].NodePort == host.Spec.Ports[0].NodePort,
			"inside it has %v and ports %v", s.Status.LoadBalancer, s.Spec.Ports)
	})
	update(t, w.virtual.Client, headless, func() { headless.Spec.Selector = map[string]string{"app": "other"} })
	await(t, w.host.Client, hostNS, "headless", func(s *corev1.Service) error { return wantEqual(s.Spec.Selector["app"], "other") })
	update(t, w.virtual.Client, balanced, func() { balanced.Spec.Type = corev1.ServiceTypeClusterIP })
	await(t, w.host.Client, hostNS, "balanced", func(s *corev1.Service) error {
		return want(s.Spec.Type == corev1.ServiceTypeClusterIP && s.Spec.ClusterIP == host.Spec.ClusterIP, "on the host it is %s at %s", s.Spec.Type, s.Spec.ClusterIP)
	})
}

func serviceHeals(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "heals")
	virtual := simpleService(ns, "web")
	create(t, w.virtual.Client, virtual)
	host := await[corev1.Service](t, w.host.Client, hostNS, "web", nil)
	if host.Spec.ClusterIP != virtual.Spec.ClusterIP {
		t.Errorf("host has %s, virtual %s", host.Spec.ClusterIP, virtual.Spec.ClusterIP)
	}
	if err := w.host.Client.Delete(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	await(t, w.host.Client, hostNS, "web", func(s *corev1.Service) error {
		return want(s.UID != host.UID && s.Spec.ClusterIP == virtual.Spec.ClusterIP, "not made again")
	})
}

func serviceMirrored(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "charts-service")
	w.open(t, ns)
	host := simpleService(hostNS, "db")
	create(t, w.host.Client, host)
	virtual := await[corev1.Service](t, w.virtual.Client, ns, "db", nil)
	if virtual.Spec.ClusterIP != host.Spec.ClusterIP || !mirrored(virtual) {
		t.Errorf("the mirror is at %s with labels %v, want %s", virtual.Spec.ClusterIP, virtual.Labels, host.Spec.ClusterIP)
	}
	update(t, w.host.Client, host, func() { host.Spec.Selector["more"] = "yes" })
	await(t, w.virtual.Client, ns, "db", func(s *corev1.Service) error {
		return want(s.Spec.Selector["more"] == "yes", "selector is %v", s.Spec.Selector)
	})
	if err := w.host.Client.Delete(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Service{}, ns, "db")
}
