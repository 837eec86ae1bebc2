// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// Pods and kubeconfigs have the addresses from when they were made.
func TestADeletedServiceKeepsItsAddress(t *testing.T) {
	h := startHost(t)
	vc := virtualCluster("address")
	h.create(vc)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	for name, had := range map[string]string{"address": vc.Status.ServiceIP, v1alpha1.DNSService: vc.Status.DNSIP} {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "address", Name: name}}
		if err := h.Client.Delete(t.Context(), service); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, func(ctx context.Context) error {
			return h.Client.Get(ctx, client.ObjectKeyFromObject(service), service)
		})
		if service.Spec.ClusterIP != had {
			t.Errorf("Service %s came back at %s, not at %s", name, service.Spec.ClusterIP, had)
		}
	}
}

// The same in the moments in which the controller's view lags behind what happened.
func TestADeletedServiceKeepsItsAddressWhatever(t *testing.T) {
	h := startIdle(t)
	vc := virtualCluster("lag")
	h.create(vc)
	stop := h.operate(t, -1)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	stop()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: vc.Name, Name: vc.Name}}
	key := client.ObjectKeyFromObject(service)
	for name, lag := range map[string]func(old *corev1.Service) interceptor.Funcs{
		"the cache does not have the addresses yet": func(*corev1.Service) interceptor.Funcs {
			return interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				err := c.Get(ctx, k, obj, opts...)
				if vc, ok := obj.(*v1alpha1.VirtualCluster); ok {
					vc.Status = v1alpha1.VirtualClusterStatus{}
				}
				return err
			}}
		},
		"the cache hears of the deletion between two reads": func(old *corev1.Service) interceptor.Funcs {
			read := &atomic.Bool{}
			return interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				if s, ok := obj.(*corev1.Service); ok && k == key && read.CompareAndSwap(false, true) {
					old.DeepCopyInto(s)
					return nil
				}
				return c.Get(ctx, k, obj, opts...)
			}}
		},
		"the API server has not released the address yet": func(old *corev1.Service) interceptor.Funcs {
			refused := &atomic.Int32{}
			return interceptor.Funcs{Apply: func(ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				// Another Service holds the address for the first two requests, as the deleted one's does.
				other := old.DeepCopy()
				other.ObjectMeta = metav1.ObjectMeta{Namespace: vc.Name, Name: "holder"}
				switch n := refused.Add(1); {
				case n == 1:
					if err := h.Client.Create(ctx, other); err != nil {
						return err
					}
				case n == 3:
					if err := h.Client.Delete(ctx, other); err != nil {
						return err
					}
				}
				return c.Apply(ctx, obj, opts...)
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			old := &corev1.Service{}
			if err := h.Client.Get(t.Context(), key, old); err != nil {
				t.Fatal(err)
			}
			if err := h.Client.Delete(t.Context(), old.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			opts := Options{Etcd: h.etcd.Admin(), EtcdTLSDir: h.etcd.Dir}
			opts.complete()
			watching, err := client.NewWithWatch(h.Config, client.Options{Scheme: h.Scheme})
			if err != nil {
				t.Fatal(err)
			}
			lagging := interceptor.NewClient(watching, lag(old))
			r := &clusterReconciler{
				client: lagging, store: store{Client: lagging, direct: h.Client}, opts: opts, clock: clock.RealClock{}, events: events.NewFakeRecorder(10),
			}
			for range 2 { // a view that lags brings a second event
				if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(vc)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := h.Client.Get(t.Context(), key, service); err != nil {
				t.Fatal(err)
			}
			if service.Spec.ClusterIP != vc.Status.ServiceIP {
				t.Errorf("the Service came back at %s, not at %s", service.Spec.ClusterIP, vc.Status.ServiceIP)
			}
		})
	}
}

// An address that somebody else has by now is no reason to go without.
func TestADeletedServiceWhoseAddressIsTakenGetsANewOne(t *testing.T) {
	h := startIdle(t)
	vc := virtualCluster("moved")
	h.create(vc)
	stop := h.operate(t, -1)
	h.clusterCondition(vc, v1alpha1.ConditionPrepared, metav1.ConditionTrue, "")
	stop()
	had := vc.Status.ServiceIP
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: vc.Name, Name: vc.Name}}
	if err := h.Client.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	taker := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: vc.Name, Name: "taker"},
		Spec:       corev1.ServiceSpec{ClusterIP: had, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if err := h.Client.Create(t.Context(), taker); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.operate(t, -1))
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := h.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
			return err
		}
		if vc.Status.ServiceIP == had {
			return errors.New("the status still has the address that was taken")
		}
		return nil
	})
	if err := h.Client.Get(t.Context(), client.ObjectKeyFromObject(service), service); err != nil || service.Spec.ClusterIP != vc.Status.ServiceIP {
		t.Errorf("the Service is at %q (%v), the status says %s", service.Spec.ClusterIP, err, vc.Status.ServiceIP)
	}
}
