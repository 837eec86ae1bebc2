// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/testenv"
)

// outsideService has no selector: somebody writes its endpoints.
func outsideService(namespace, name string) *corev1.Service {
	service := simpleService(namespace, name)
	service.Spec.Selector = nil
	return service
}

func writtenSlice(namespace, name, service string, addresses ...string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: addresses}},
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(8080))}},
	}
}

func slicesFollow(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "slices")
	create(t, w.virtual.Client, outsideService(ns, "outside"))
	slice := writtenSlice(ns, "outside-1", "outside", "192.0.2.1")
	create(t, w.virtual.Client, slice)
	host := await[discoveryv1.EndpointSlice](t, w.host.Client, hostNS, "outside-1", nil)
	if host.Labels[discoveryv1.LabelServiceName] != "outside" || host.Labels[discoveryv1.LabelManagedBy] != managedBy {
		t.Errorf("labels on the host are %v", host.Labels)
	}
	update(t, w.virtual.Client, slice, func() { slice.Endpoints[0].Addresses = []string{"192.0.2.2"} })
	await(t, w.host.Client, hostNS, "outside-1", func(s *discoveryv1.EndpointSlice) error {
		return want(s.Endpoints[0].Addresses[0] == "192.0.2.2", "host has %v", s.Endpoints)
	})
	if err := w.host.Client.Delete(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	await(t, w.host.Client, hostNS, "outside-1", func(s *discoveryv1.EndpointSlice) error {
		return want(s.UID != host.UID, "deleted on the host and not made again")
	})
	if err := w.virtual.Client.Delete(t.Context(), slice); err != nil {
		t.Fatal(err)
	}
	gone(t, w.host.Client, &discoveryv1.EndpointSlice{}, hostNS, "outside-1")
}

// endpointsFollow writes the older kind, of which the virtual cluster's own controller makes a slice.
func endpointsFollow(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "endpoints")
	create(t, w.virtual.Client, outsideService(ns, "outside"))
	//lint:ignore SA1019 people still write them
	endpoints := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "outside"},
		//lint:ignore SA1019 the same
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: "192.0.2.7"}}, Ports: []corev1.EndpointPort{{Name: "http", Port: 8080}},
		}},
	}
	create(t, w.virtual.Client, endpoints)
	testenv.Eventually(t, func(ctx context.Context) error {
		found := &discoveryv1.EndpointSliceList{}
		err := w.host.Client.List(ctx, found, client.InNamespace(hostNS), client.MatchingLabels{discoveryv1.LabelServiceName: "outside"})
		if err != nil {
			return err
		}
		return want(len(found.Items) == 1 && len(found.Items[0].Endpoints) == 1 && found.Items[0].Endpoints[0].Addresses[0] == "192.0.2.7" &&
			found.Items[0].Labels[discoveryv1.LabelManagedBy] == managedBy, "the host has %+v", found.Items)
	})
}

func slicesRefused(t *testing.T, w *world) {
	ns, _ := w.namespace(t, "refused-slices")
	create(t, w.virtual.Client, outsideService(ns, "outside"))
	for _, address := range []string{"127.0.0.1", "169.254.169.254", "224.0.0.1"} {
		if err := w.virtual.Client.Create(t.Context(), writtenSlice(ns, "outside-1", "outside", address)); !apierrors.IsInvalid(err) {
			t.Errorf("address %s gives %v, want Invalid", address, err)
		}
	}
}

func slicesMirrored(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "charts-slices")
	w.open(t, ns)
	// The slice comes first, as charts' objects may.
	slice := writtenSlice(hostNS, "outside-1", "outside", "192.0.2.1")
	create(t, w.host.Client, slice)
	service := outsideService(hostNS, "outside")
	create(t, w.host.Client, service)
	virtual := await[discoveryv1.EndpointSlice](t, w.virtual.Client, ns, "outside-1", nil)
	if !mirrored(virtual) || virtual.Labels[discoveryv1.LabelServiceName] != "outside" || virtual.Endpoints[0].Addresses[0] != "192.0.2.1" {
		t.Errorf("the mirror has labels %v and endpoints %v", virtual.Labels, virtual.Endpoints)
	}
	update(t, w.host.Client, slice, func() { slice.Endpoints[0].Addresses = []string{"192.0.2.2"} })
	await(t, w.virtual.Client, ns, "outside-1", func(s *discoveryv1.EndpointSlice) error {
		return want(s.Endpoints[0].Addresses[0] == "192.0.2.2", "the mirror has %v", s.Endpoints)
	})
	if err := w.host.Client.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &discoveryv1.EndpointSlice{}, ns, "outside-1")
}

// slicesComputed are left to the controllers that compute them, although those copy the labels of their Service.
func slicesComputed(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "computed-slices")
	w.open(t, ns)
	create(t, w.virtual.Client, simpleService(ns, "inside"))
	service := await[corev1.Service](t, w.host.Client, hostNS, "inside", nil)
	// The host's controller, which is not part of the test, writes this.
	onHost := writtenSlice(hostNS, "inside-x7k2p", "inside", "192.0.2.1")
	for key, value := range service.Labels {
		onHost.Labels[key] = value
	}
	onHost.Labels[discoveryv1.LabelManagedBy] = computedBy
	create(t, w.host.Client, onHost)

	create(t, w.host.Client, simpleService(hostNS, "chart"))
	inVirtual := &discoveryv1.EndpointSlice{}
	testenv.Eventually(t, func(ctx context.Context) error {
		found := &discoveryv1.EndpointSliceList{}
		err := w.virtual.Client.List(ctx, found, client.InNamespace(ns), client.MatchingLabels{discoveryv1.LabelServiceName: "chart"})
		if err != nil || len(found.Items) != 1 {
			return want(false, "the virtual cluster has %+v, error %v", found.Items, err)
		}
		inVirtual = &found.Items[0]
		return want(mirrored(inVirtual) && inVirtual.Labels[discoveryv1.LabelManagedBy] == computedBy, "its labels are %v", inVirtual.Labels)
	})

	// What is removed rightly is removed later than what came before it.
	create(t, w.host.Client, outsideService(hostNS, "outside"))
	for _, name := range []string{"outside-1", "outside-2"} {
		orphan := writtenSlice(hostNS, "inside-"+name, "inside", "192.0.2.3")
		for key, value := range service.Labels {
			orphan.Labels[key] = value
		}
		orphan.Labels[discoveryv1.LabelManagedBy] = managedBy
		create(t, w.host.Client, orphan)
		gone(t, w.host.Client, &discoveryv1.EndpointSlice{}, hostNS, orphan.Name)
		offered := writtenSlice(hostNS, name, "outside", "192.0.2.4")
		create(t, w.host.Client, offered)
		await[discoveryv1.EndpointSlice](t, w.virtual.Client, ns, name, nil)
		if err := w.host.Client.Delete(t.Context(), offered); err != nil {
			t.Fatal(err)
		}
		gone(t, w.virtual.Client, &discoveryv1.EndpointSlice{}, ns, name)
	}
	for _, left := range []struct {
		side  client.Client
		slice *discoveryv1.EndpointSlice
	}{{w.host.Client, onHost}, {w.virtual.Client, inVirtual}} {
		now := &discoveryv1.EndpointSlice{}
		if err := left.side.Get(t.Context(), client.ObjectKeyFromObject(left.slice), now); err != nil || now.UID != left.slice.UID {
			t.Errorf("computed EndpointSlice %s is not there any more: %v", left.slice.Name, err)
		}
	}
}
