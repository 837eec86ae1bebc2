// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane/pool"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// leaseDuration is short so that a take-over is quick, and long enough for a loaded machine.
const leaseDuration = 15 * time.Second

// tenants counts what runs, instead of running control planes: those have tests of their
// own, and cannot be linked in here.
type tenants struct {
	t       *testing.T
	mu      sync.Mutex
	running map[string]*tenant
	starts  int
	failing bool
}

func newTenants(t *testing.T) *tenants { return &tenants{t: t, running: map[string]*tenant{}} }

func (f *tenants) Start(_ context.Context, spec pool.Spec) (pool.Tenant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing {
		return nil, errors.New("etcd does not answer")
	}
	if f.running[spec.Name] != nil {
		f.t.Errorf("%s runs twice", spec.Name)
	}
	f.starts++
	tenant := &tenant{tenants: f, spec: spec, done: make(chan struct{}), updates: make(chan map[string][]byte, 8)}
	f.running[spec.Name] = tenant
	return tenant, nil
}

// fail decides about the next starts.
func (f *tenants) fail(failing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = failing
}

func (f *tenants) get(name string) *tenant {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running[name]
}

func (f *tenants) started() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starts
}

type tenant struct {
	tenants *tenants
	spec    pool.Spec
	done    chan struct{}
	updates chan map[string][]byte
}

func (t *tenant) Ports() pool.Ports                      { return pool.Ports{API: 6443, DNSUDP: 5301, DNSTCP: 5302} }
func (t *tenant) UpdateSecret(d map[string][]byte) error { t.updates <- d; return nil }
func (t *tenant) Done() <-chan struct{}                  { return t.done }
func (t *tenant) Err() error                             { return errors.New("its API server ended") }

func (t *tenant) Stop(context.Context) error {
	t.tenants.mu.Lock()
	defer t.tenants.mu.Unlock()
	delete(t.tenants.running, t.spec.Name)
	return nil
}

// startMember runs one pool member and gives what ends it in order.
func startMember(t *testing.T, env *testenv.Env, name, namespace string, f pool.Factory) (stop func()) {
	t.Helper()
	mgr, err := ctrl.NewManager(env.Config, ctrl.Options{Scheme: env.Scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = pool.SetupWithManager(ctx, mgr, pool.Options{
		Namespace: namespace, Member: name, Address: net.IPv4(10, 1, 2, 3), Dir: t.TempDir(), Version: "v1.37.2",
		Tenants: f, LeaseDuration: leaseDuration,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("member %s: %v", name, err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// prepare does what the operator does before a member may serve.
func prepare(t *testing.T, env *testenv.Env) *platformv1alpha1.VirtualCluster {
	t.Helper()
	vc := &platformv1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	create(t, env, vc)
	t.Cleanup(func() { forget(t, env, vc.Name) })
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: vc.Name, Name: name} }
	create(t, env, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: vc.Name}})
	create(t, env, &corev1.ServiceAccount{ObjectMeta: meta(platformv1alpha1.TenantServiceAccount)})
	create(t, env, &corev1.Secret{ObjectMeta: meta(platformv1alpha1.ControlPlaneSecret(vc.Name)), Data: map[string][]byte{"ca.crt": []byte("first")}})
	vc.Status.ServiceIP, vc.Status.DNSIP, vc.Status.EtcdPrefix = "10.96.0.7", "10.96.0.8", "/skerry/"+vc.Name
	setPrepared(t, env, vc, metav1.ConditionTrue)
	return vc
}

// forget keeps the members of later tests from serving it.
func forget(t *testing.T, env *testenv.Env, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	defer cancel()
	vc := &platformv1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	err := client.IgnoreNotFound(env.Client.Delete(ctx, vc))
	noFinalizers := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := errors.Join(err, client.IgnoreNotFound(env.Client.Patch(ctx, vc, noFinalizers))); err != nil {
		t.Errorf("deleting the test's VirtualCluster: %v", err)
	}
}

func setPrepared(t *testing.T, env *testenv.Env, vc *platformv1alpha1.VirtualCluster, s metav1.ConditionStatus) {
	t.Helper()
	wanted := vc.Status.DeepCopy()
	testenv.Eventually(t, func(ctx context.Context) error {
		if wanted.ServiceIP == "" {
			if err := env.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
				return err
			}
		}
		status.Set(&vc.Status.Conditions, vc.Generation, platformv1alpha1.ConditionPrepared, s, "Test", "")
		err := env.Client.Status().Update(ctx, vc)
		wanted.ServiceIP = "" // try again with what is there
		return err
	})
}

func create(t *testing.T, env *testenv.Env, o client.Object) {
	t.Helper()
	if err := env.Client.Create(t.Context(), o); err != nil {
		t.Fatalf("creating %T %s: %v", o, o.GetName(), err)
	}
}

// awaitServing waits for the condition and returns the object.
func awaitServing(t *testing.T, env *testenv.Env, name, member string) *platformv1alpha1.VirtualCluster {
	t.Helper()
	vc := &platformv1alpha1.VirtualCluster{}
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKey{Name: name}, vc); err != nil {
			return err
		}
		if !status.IsTrue(vc.Status.Conditions, platformv1alpha1.ConditionControlPlaneReady) || vc.Status.Member != member {
			return fmt.Errorf("member %q, conditions %v", vc.Status.Member, vc.Status.Conditions)
		}
		return nil
	})
	return vc
}
