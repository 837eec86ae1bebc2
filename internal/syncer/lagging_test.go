// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// viewLags takes single steps with what a cache shows that is a moment behind. The syncer does not run meanwhile.
func viewLags(t *testing.T, w *world) {
	ns, _ := w.namespace(t, "lags")
	w.open(t, ns)
	w.stop()
	for _, story := range []struct {
		name string
		run  func(*testing.T, *world, *tenant)
	}{
		{"a namespace just made keeps what it asked for, and its host namespace", namespaceLags},
		{"a host namespace that cannot be read is tried again", hostNamespaceUnreadable},
	} {
		t.Run(story.name, func(t *testing.T) { story.run(t, w, idleTenant(t, w)) })
	}
	w.start(t)
	marker := simpleService(ns, "goes-on")
	create(t, w.virtual.Client, marker)
	await[corev1.Service](t, w.host.Client, lagsSpace(w).host, marker.Name, nil)
}

// lagsSpace is the host namespace of the stories that viewLags tells.
func lagsSpace(w *world) *space {
	return &space{virtual: "lags", host: platformv1alpha1.HostNamespace(w.vc, "lags")}
}

// idleTenant reads the virtual cluster without a cache, and does nothing by itself.
func idleTenant(t *testing.T, w *world) *tenant {
	t.Helper()
	s, err := New(Config{VirtualCluster: w.vc, Host: w.tenant, ServiceIP: testServiceIP, DNSIP: testDNSIP})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(w.virtual.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "skerry:syncer", Groups: []string{"system:masters"}}
	virtual := watching(t, config)
	tenant := s.tenant
	tenant.virtual, tenant.virtualLive = client.WithFieldOwner(virtual, fieldOwner), virtual
	tenant.events = events.NewFakeRecorder(100)
	if err := tenant.spaces.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tenant.spaces.stop)
	return tenant
}

// watching makes a client with which a test can intercept requests.
func watching(t *testing.T, cfg *rest.Config) client.WithWatch {
	t.Helper()
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: scheme, Mapper: restMapper()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// namespaceLags has the cache of Namespaces behind that of Pods, and behind the VirtualNamespaces.
func namespaceLags(t *testing.T, w *world, tenant *tenant) {
	now := tenant.virtual
	for name, shown := range map[string]func(*corev1.Namespace) error{
		"not-yet": func(*corev1.Namespace) error { return apierrors.NewNotFound(corev1.Resource("namespaces"), "not-yet") },
		"still-the-old": func(ns *corev1.Namespace) error {
			ns.UID, ns.ResourceVersion, ns.DeletionTimestamp = "of-the-one-before", "1", ptr.To(metav1.Now())
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			ns, _ := w.namespace(t, name)
			key := reconcile.Request{NamespacedName: types.NamespacedName{Name: ns}}
			behind := interceptor.NewClient(watching(t, w.virtual.Config), interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
					err := c.Get(ctx, k, obj, opts...)
					if namespace, is := obj.(*corev1.Namespace); is && err == nil {
						return shown(namespace)
					}
					return err
				},
			})
			n := &namespaces{tenant: tenant, life: t.Context()}
			look := func(view client.Client) {
				t.Helper()
				tenant.virtual = view
				if _, err := n.Reconcile(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			tenant.spaces.ask(ns) // a Pod that was just made in it
			look(behind)
			look(now)
			vns := await[platformv1alpha1.VirtualNamespace](t, w.host.Client, w.vc, ns, nil)
			await(t, w.host.Client, w.vc, ns, func(vns *platformv1alpha1.VirtualNamespace) error { return want(isReady(vns), "not ready") })
			awaitCached(t, tenant, ns)
			look(behind)
			if kept := await[platformv1alpha1.VirtualNamespace](t, w.host.Client, w.vc, ns, nil); kept.UID != vns.UID || kept.DeletionTimestamp != nil {
				t.Error("the host namespace of the namespace made anew was given back")
			}
		})
	}
}
