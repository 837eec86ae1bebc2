// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/catalog"
	"github.com/skerry-platform/skerry/internal/oam"
	"github.com/skerry-platform/skerry/internal/oam/fence"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// serve makes the test binary its own evaluating process, as skerry-kube is.
const serve = "-serve-definitions"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serve {
		if err := fence.Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	ctrl.SetLogger(logr.Discard())
	testenv.Main(m)
}

// stage is a cluster with the catalog's definitions and a running engine.
type stage struct {
	testing.TB
	client.Client
	namespace string
	watches   watchCounter
}

// on returns a stage on a cluster, without an engine.
func on(t testing.TB, env *testenv.Env) *stage {
	t.Helper()
	return &stage{TB: t, Client: env.Client, namespace: env.Namespace(t), watches: watchCounter{paths: map[string]int{}}}
}

func newStage(t testing.TB) *stage {
	t.Helper()
	env := testenv.Start(t, testenv.WithScheme(oamv1.AddToScheme))
	s := on(t, env)
	s.installCatalog()
	s.runEngine(env, "shop", prometheus.NewRegistry())
	return s
}

// runEngine runs an engine on a cluster until the test ends.
func (s *stage) runEngine(env *testenv.Env, name string, registry prometheus.Registerer) {
	s.Helper()
	f := fence.New(fence.Options{Command: []string{"/proc/self/exe", serve}})
	s.Cleanup(f.Close)
	ctx, cancel := context.WithCancel(s.Context())
	config := rest.CopyConfig(env.Config)
	config.Wrap(s.watches.wrap)
	done := make(chan error, 1)
	go func() {
		done <- oam.Run(ctx, oam.Options{Virtual: config, ClusterName: name, Evaluator: f.Tenant(), Log: logr.Discard(), Registerer: registry})
	}()
	s.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.Errorf("the engine ended with %v", err)
		}
	})
}

func (s *stage) installCatalog() {
	s.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "vela-system"}}
	if err := s.Create(s.Context(), ns); err != nil && !apierrors.IsAlreadyExists(err) {
		s.Fatal(err)
	}
	defs, err := catalog.Definitions()
	if err != nil {
		s.Fatal(err)
	}
	for _, d := range defs {
		d.SetNamespace("vela-system")
		if err := s.Create(s.Context(), d); err != nil && !apierrors.IsAlreadyExists(err) {
			s.Fatal(err)
		}
	}
}

// component is one component of an Application, its properties as JSON.
type component struct {
	name, typ, properties string
	dependsOn             []string
	traits                []oamv1.ApplicationTrait
}

func spec(components ...component) oamv1.ApplicationSpec {
	out := oamv1.ApplicationSpec{}
	for _, c := range components {
		a := oamv1.ApplicationComponent{Name: c.name, Type: c.typ, DependsOn: c.dependsOn, Traits: c.traits}
		if c.properties != "" {
			a.Properties = &runtime.RawExtension{Raw: []byte(c.properties)}
		}
		out.Components = append(out.Components, a)
	}
	return out
}

func configMap(name string) component {
	return component{name: name, typ: "k8s-objects", properties: fmt.Sprintf(
		`{"objects":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"k":"v"}}]}`, name)}
}

// deploy creates an Application, or changes it to the given spec.
func (s *stage) deploy(name string, spec oamv1.ApplicationSpec) {
	s.Helper()
	app := &oamv1.Application{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace}}
	err := s.Get(s.Context(), client.ObjectKeyFromObject(app), app)
	if apierrors.IsNotFound(err) {
		app.Spec = spec
		err = s.Create(s.Context(), app)
	} else if err == nil {
		patch, _ := json.Marshal(map[string]any{"spec": spec})
		err = s.Patch(s.Context(), app, client.RawPatch("application/merge-patch+json", patch))
	}
	if err != nil {
		s.Fatal(err)
	}
}

// eventually waits until the Application's status is as check wants it.
func (s *stage) eventually(name string, check func(*oamv1.Application) error) {
	s.Helper()
	testenv.Eventually(s, func(ctx context.Context) error {
		app := &oamv1.Application{}
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, app); err != nil {
			return err
		}
		if err := check(app); err != nil {
			conditions, _ := json.Marshal(app.Status)
			return fmt.Errorf("%w; status %s", err, conditions)
		}
		return nil
	})
}

func phase(want oamv1.Phase) func(*oamv1.Application) error {
	return func(app *oamv1.Application) error {
		if app.Status.Phase != want || app.Status.ObservedGeneration != app.Generation {
			return fmt.Errorf("phase %q of generation %d, want %q of %d", app.Status.Phase, app.Status.ObservedGeneration, want, app.Generation)
		}
		return nil
	}
}

func condition(typ string, want metav1.ConditionStatus, part string) func(*oamv1.Application) error {
	return func(app *oamv1.Application) error {
		c := meta.FindStatusCondition(app.Status.Conditions, typ)
		if c == nil || c.Status != want || !strings.Contains(c.Message, part) {
			return fmt.Errorf("condition %s is %+v, want %s with %q", typ, c, want, part)
		}
		return nil
	}
}

func all(checks ...func(*oamv1.Application) error) func(*oamv1.Application) error {
	return func(app *oamv1.Application) error {
		for _, c := range checks {
			if err := c(app); err != nil {
				return err
			}
		}
		return nil
	}
}

// there waits until an object exists, and returns it as it is.
func there[T client.Object](s *stage, o T, name string) T {
	s.Helper()
	testenv.Eventually(s, func(ctx context.Context) error {
		return s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, o)
	})
	return o
}

// gone waits until an object does not exist.
func (s *stage) gone(o client.Object, name string) {
	s.Helper()
	testenv.Eventually(s, func(ctx context.Context) error {
		err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, o)
		if err == nil {
			return fmt.Errorf("%s is still there", name)
		}
		return client.IgnoreNotFound(err)
	})
}

func release(name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("helm.crossplane.io/v1beta1")
	o.SetKind("Release")
	o.SetName(name)
	return o
}

// report plays the Helm engine: it gives a Release its conditions.
func (s *stage) report(name, ready, synced, message string) {
	s.Helper()
	testenv.Eventually(s, func(ctx context.Context) error {
		o := release(name)
		if err := s.Get(ctx, client.ObjectKey{Name: name}, o); err != nil {
			return err
		}
		now := metav1.Now().UTC().Format(time.RFC3339)
		conditions := []any{
			map[string]any{"type": "Ready", "status": ready, "reason": "Available", "message": message, "lastTransitionTime": now},
			map[string]any{"type": "Synced", "status": synced, "reason": "ReconcileSuccess", "lastTransitionTime": now},
		}
		if err := unstructured.SetNestedSlice(o.Object, conditions, "status", "conditions"); err != nil {
			return err
		}
		return s.Status().Update(ctx, o)
	})
}

// readyDeployment plays the Deployment controller.
func (s *stage) readyDeployment(name string, replicas int32) {
	s.Helper()
	testenv.Eventually(s, func(ctx context.Context) error {
		d := &appsv1.Deployment{}
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, d); err != nil {
			return err
		}
		d.Status = appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation, Replicas: replicas, ReadyReplicas: replicas, UpdatedReplicas: replicas, AvailableReplicas: replicas,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			},
		}
		return s.Status().Update(ctx, d)
	})
}

func names(list []oamv1.ClusterObjectReference) []string {
	out := make([]string, 0, len(list))
	for _, r := range list {
		out = append(out, r.Kind+"/"+r.Name)
	}
	slices.Sort(out)
	return out
}
