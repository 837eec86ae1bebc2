// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
		{"a Service made anew keeps its host Service", serviceLags},
		{"a Service made again on the host keeps its node port", servicePortReleased},
		{"a node port stays changed when the host does not answer", serviceChangeFails},
		{"a claim that was just bound is not made again", claimLags},
		{"a Pod that just succeeded does not fail", podLags},
		{"a Pod made anew is not taken for the one before it", podNamesake},
		{"a Release changed twice has the last change only", releaseLags},
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

// serviceLags has admission make the host Service of one whose namesake is just being deleted, and of which the cache
// says so longer than it is true.
func serviceLags(t *testing.T, w *world, tenant *tenant) {
	in := lagsSpace(w)
	before := simpleService(in.virtual, "anew")
	before.Finalizers = []string{platformv1alpha1.FinalizerHost}
	create(t, w.virtual.Client, before)
	if err := w.virtual.Client.Delete(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	before = await(t, w.virtual.Client, in.virtual, "anew", func(s *corev1.Service) error { return want(s.DeletionTimestamp != nil, "not being deleted") })
	virtual := simpleService(in.virtual, "anew")
	request, answered := context.WithCancel(t.Context())
	host, err := (&Syncer{tenant: tenant}).AllocateService(request, virtual)
	if err != nil {
		t.Fatal(err)
	}
	look := func(when string) {
		t.Helper()
		p := servicePair{key: client.ObjectKeyFromObject(virtual), space: in, virtual: before.DeepCopy(), host: host.DeepCopy()}
		if _, err := (&services{tenant}).both(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := w.host.Client.Get(t.Context(), client.ObjectKeyFromObject(host), &corev1.Service{}); err != nil {
			t.Errorf("%s, the new Service's host Service was deleted with the old one: %v", when, err)
		}
	}
	look("while the request is on its way")
	if err := tenant.dropFinalizer(t.Context(), before.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	virtual.Spec.ClusterIP, virtual.Spec.ClusterIPs = host.Spec.ClusterIP, host.Spec.ClusterIPs
	create(t, w.virtual.Client, virtual)
	answered()
	look("before the cache shows it")
}

// servicePortReleased deletes a host Service whose addresses the API server frees only a moment after it said so.
func servicePortReleased(t *testing.T, w *world, tenant *tenant) {
	in := lagsSpace(w)
	virtual := simpleService(in.virtual, "freed")
	virtual.Spec.Type = corev1.ServiceTypeNodePort
	create(t, w.virtual.Client, virtual)
	holder := simpleService(in.host, "holder")
	holder.Spec.Type, holder.Spec.Ports = virtual.Spec.Type, virtual.Spec.Ports
	asked := 0
	tenant.host = interceptor.NewClient(watching(t, w.host.Config), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			asked++
			switch asked {
			case 1:
				create(t, w.host.Client, holder)
			case 3:
				if err := w.host.Client.Delete(ctx, holder); err != nil {
					t.Error(err)
				}
			}
			return c.Create(ctx, obj, opts...)
		},
	})
	p := servicePair{key: client.ObjectKeyFromObject(virtual), space: in, virtual: virtual.DeepCopy()}
	if _, err := (&services{tenant}).down(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	host := await[corev1.Service](t, w.host.Client, in.host, "freed", nil)
	if got, wanted := host.Spec.Ports[0].NodePort, virtual.Spec.Ports[0].NodePort; got != wanted {
		t.Errorf("it came back with node port %d, want %d", got, wanted)
	}
}

// serviceChangeFails has a change of a node port fail on its way to the host.
func serviceChangeFails(t *testing.T, w *world, tenant *tenant) {
	in := lagsSpace(w)
	virtual := simpleService(in.virtual, "changed")
	virtual.Spec.Type = corev1.ServiceTypeNodePort
	create(t, w.virtual.Client, virtual)
	p := servicePair{key: client.ObjectKeyFromObject(virtual), space: in, virtual: virtual}
	if _, err := (&services{tenant}).down(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	host := await[corev1.Service](t, w.host.Client, in.host, "changed", nil)
	wanted := int32(32100)
	if host.Spec.Ports[0].NodePort == wanted {
		wanted++
	}
	update(t, w.virtual.Client, virtual, func() { virtual.Spec.Ports[0].NodePort = wanted })
	lost := apierrors.NewTimeoutError("the host does not answer", 1)
	tenant.host = interceptor.NewClient(watching(t, w.host.Config), interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return lost
		},
	})
	p.virtual, p.host = virtual.DeepCopy(), host
	if _, err := (&services{tenant}).both(t.Context(), p); !apierrors.IsTimeout(err) {
		t.Errorf("the step gives %v, want what happened", err)
	}
	if now := await[corev1.Service](t, w.virtual.Client, in.virtual, "changed", nil); now.Spec.Ports[0].NodePort != wanted {
		t.Errorf("the user's node port %d became %d because a request was lost", wanted, now.Spec.Ports[0].NodePort)
	}
}

// claimLags deletes, on the host, a claim of which the cache does not know yet that it was bound.
func claimLags(t *testing.T, w *world, tenant *tenant) {
	in := lagsSpace(w)
	claim := simpleClaim(in.virtual, "data")
	claim.Spec.VolumeName = "pv-claim-lags"
	claim.Finalizers = []string{platformv1alpha1.FinalizerHost}
	create(t, w.virtual.Client, claim)
	shown := claim.DeepCopy()
	setStatus(t, w.virtual.Client, claim, func() { claim.Status.Phase = corev1.ClaimBound })
	p := claimPair{key: client.ObjectKeyFromObject(claim), space: in, virtual: shown}
	if _, err := (&claims{tenant}).down(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := w.host.Client.Get(t.Context(), client.ObjectKey{Namespace: in.host, Name: "data"}, &corev1.PersistentVolumeClaim{}); !apierrors.IsNotFound(err) {
		t.Errorf("the host has a new, empty claim under the name of one with data: %v", err)
	}
}

// releaseLags changes a Release twice before the cache of the host's knows of the first change.
func releaseLags(t *testing.T, w *world, tenant *tenant) {
	in := lagsSpace(w)
	steps := &releases{tenant: tenant, has: served{hostReleases: true, namespacedReleases: true}, refs: &referenced{tenant}}
	virtual := simpleRelease(namespacedReleaseKind, in.virtual, "db", "")
	create(t, w.virtual.Client, virtual)
	host := tenant.hostRelease(virtual)
	create(t, w.host.Client, host)
	shown := host.DeepCopy()
	change := func(values map[string]any, host *unstructured.Unstructured) error {
		_ = unstructured.SetNestedMap(virtual.Object, values, "spec", "forProvider", "values")
		return steps.change(t.Context(), slot{key: client.ObjectKeyFromObject(virtual), space: in, virtual: virtual, host: host})
	}
	if err := change(map[string]any{"size": "1", "debug": "on"}, host); err != nil {
		t.Fatal(err)
	}
	last := map[string]any{"size": "2"}
	if err := change(last, shown); !apierrors.IsConflict(err) {
		t.Errorf("a change of what is not there any more gives %v, want a conflict", err)
	}
	now := awaitRelease(t, w.host.Client, namespacedReleaseKind, in.host, "db", nil)
	if err := change(last, now); err != nil {
		t.Fatal(err)
	}
	now = awaitRelease(t, w.host.Client, namespacedReleaseKind, in.host, "db", nil)
	if values, _, _ := unstructured.NestedStringMap(now.Object, "spec", "forProvider", "values"); len(values) != 1 || values["size"] != "2" {
		t.Errorf("the host's Release has values %v, the virtual one %v", values, last)
	}
}
