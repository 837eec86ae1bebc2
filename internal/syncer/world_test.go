// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/go-logr/logr"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) {
	logger := logr.Discard()
	if os.Getenv("SKERRY_TEST_LOG") != "" {
		logger = zap.New(zap.UseDevMode(true))
	}
	log.SetLogger(logger)
	testenv.Main(m)
}

const (
	testServiceIP = "10.0.0.1"
	testDNSIP     = "10.0.0.10"
)

// world is a host cluster with an operator that makes host namespaces, and a
// virtual cluster with a running syncer.
type world struct {
	root          testing.TB // outlives the stories
	host, virtual *testenv.Env
	vc            string
	tenant        *rest.Config // on the host
	syncer        *Syncer
	shared        cache.Cache // of the host
	stop          func()      // ends the syncer
}

func newWorld(t testing.TB, vc string) *world {
	t.Helper()
	host := testenv.Start(t)
	w := &world{root: t, host: host, virtual: testenv.StartOwn(t), vc: vc}
	makeNamespace(t, host.Client, vc)
	w.tenant = tenantConfig(t, host, vc)
	startOperator(t, host.Config, vc)
	w.start(t)
	return w
}

// start runs a syncer, a first or after stop.
func (w *world) start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	shared, err := cache.New(w.host.Config, cache.Options{Scheme: scheme, Mapper: restMapper()})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = shared.Start(ctx) }()
	w.shared = shared
	w.syncer, err = New(Config{
		VirtualCluster: w.vc, Host: w.tenant, ServiceIP: testServiceIP, DNSIP: testDNSIP, Shared: shared,
	})
	if err != nil {
		t.Fatal(err)
	}
	virtual := rest.CopyConfig(w.virtual.Config)
	virtual.Impersonate = rest.ImpersonationConfig{UserName: "skerry:syncer", Groups: []string{"system:masters"}}
	done := make(chan error, 1)
	go func() { done <- w.syncer.Run(log.IntoContext(ctx, log.Log), virtual) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the syncer ended with %v", err)
		}
	}
	w.root.Cleanup(func() { w.stop() })
}

// startOperator plays the operator: a VirtualNamespace becomes a host namespace, and ends
// when everything in it is gone.
func startOperator(t testing.TB, cfg *rest.Config, vc string) {
	t.Helper()
	mgr, err := ctrl.NewManager(cfg, manager.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{vc: {}}},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = builder.ControllerManagedBy(mgr).For(&platformv1alpha1.VirtualNamespace{}).Named("operator").
		Complete(&operator{Client: mgr.GetClient(), live: mgr.GetAPIReader()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = mgr.Start(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// operatorAway on a VirtualNamespace keeps the operator from it.
const operatorAway = "example.com/operator-away"

type operator struct {
	client.Client
	live client.Reader
}

func (o *operator) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	vns := &platformv1alpha1.VirtualNamespace{}
	if err := o.Get(ctx, req.NamespacedName, vns); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if vns.Annotations[operatorAway] != "" {
		return reconcile.Result{}, nil
	}
	name := platformv1alpha1.HostNamespace(req.Namespace, req.Name)
	before := vns.DeepCopy()
	if vns.DeletionTimestamp != nil {
		if left, err := o.empty(ctx, name); err != nil || left {
			return reconcile.Result{RequeueAfter: 20 * time.Millisecond}, err
		}
		controllerutil.RemoveFinalizer(vns, platformv1alpha1.FinalizerCleanup)
		return reconcile.Result{}, o.Patch(ctx, vns, client.MergeFrom(before))
	}
	if controllerutil.AddFinalizer(vns, platformv1alpha1.FinalizerCleanup) {
		if err := o.Patch(ctx, vns, client.MergeFrom(before)); err != nil {
			return reconcile.Result{}, err
		}
		before = vns.DeepCopy()
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		tenantBinding(req.Namespace, name, tenantRole),
	}
	for _, object := range objects {
		if err := o.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return reconcile.Result{}, err
		}
	}
	if status.Set(&vns.Status.Conditions, vns.Generation, platformv1alpha1.ConditionReady, metav1.ConditionTrue, "Available", "") {
		return reconcile.Result{}, o.Status().Patch(ctx, vns, client.MergeFrom(before))
	}
	return reconcile.Result{}, nil
}

// empty deletes a host namespace; true while it is there.
func (o *operator) empty(ctx context.Context, namespace string) (bool, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := o.live.Get(ctx, client.ObjectKeyFromObject(ns), ns); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	if ns.DeletionTimestamp == nil {
		return true, client.IgnoreNotFound(o.Delete(ctx, ns))
	}
	return true, nil
}

func makeNamespace(t testing.TB, c client.Client, name string) {
	t.Helper()
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	await[corev1.ServiceAccount](t, c, name, "default", nil)
}

// namespace makes a virtual namespace and gives its two names.
func (w *world) namespace(t testing.TB, name string) (virtual, host string) {
	t.Helper()
	makeNamespace(t, w.virtual.Client, name)
	return name, platformv1alpha1.HostNamespace(w.vc, name)
}

func create(t testing.TB, c client.Client, obj client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), obj); err != nil {
		t.Fatalf("creating %T %s: %v", obj, client.ObjectKeyFromObject(obj), err)
	}
}

func update(t testing.TB, c client.Client, obj client.Object, change func()) {
	t.Helper()
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		change()
		return c.Update(ctx, obj)
	})
}

// setStatus plays the kubelet, or another controller that writes status.
func setStatus(t testing.TB, c client.Client, obj client.Object, change func()) {
	t.Helper()
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		change()
		return c.Status().Update(ctx, obj)
	})
}

// await reads an object until a check holds; check may be nil.
func await[S any, T object[S]](t testing.TB, c client.Client, namespace, name string, check func(T) error) T {
	t.Helper()
	var obj T
	testenv.Eventually(t, func(ctx context.Context) error {
		obj = T(new(S))
		if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, obj); err != nil {
			return err
		}
		if check == nil {
			return nil
		}
		return check(obj)
	})
	return obj
}

// gone waits until an object is not there any more.
func gone(t testing.TB, c client.Client, obj client.Object, namespace, name string) {
	t.Helper()
	testenv.Eventually(t, func(ctx context.Context) error {
		err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, obj)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(fmt.Errorf("%T %s/%s is still there", obj, namespace, name), err)
	})
}

func simplePod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To(int64(5)),
			Containers:                    []corev1.Container{{Name: "main", Image: "example.com/app:1"}},
		},
	}
}

func want(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func wantEqual[T comparable](got, wanted T) error {
	return want(got == wanted, "got %v, want %v", got, wanted)
}

// open has a virtual namespace's host namespace made, with a Service that asks for it.
func (w *world) open(t testing.TB, ns string) {
	t.Helper()
	create(t, w.virtual.Client, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "opens"}, Spec: corev1.ServiceSpec{ClusterIP: "None"}})
	await[corev1.Service](t, w.host.Client, platformv1alpha1.HostNamespace(w.vc, ns), "opens", nil)
}
