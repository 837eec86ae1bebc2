// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	clusterv1beta1 "github.com/skerry-platform/skerry/api/helm.crossplane.io/v1beta1"
	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	testenv.Main(m)
}

// world is a host cluster with one tenant, and the engine running on it. Nothing but the
// engine and the test acts: there are no controllers and no nodes.
type world struct {
	*testenv.Env
	t      testing.TB
	vc     string // the virtual cluster's name
	ns     string // the host namespace of its namespace "default"
	stop   context.CancelFunc
	ended  chan error
	config Options
	logs   *lines // what the engine logged
}

// lines collects log lines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) logger() logr.Logger {
	return funcr.NewJSON(func(line string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.text.WriteString(line + "\n")
	}, funcr.Options{})
}

// String is all that was logged.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newWorld starts the engine with the given catalog, or the built-in one.
func newWorld(t testing.TB, options Options) *world {
	t.Helper()
	env := testenv.Start(t, testenv.WithScheme(helmv1beta1.AddToScheme, clusterv1beta1.AddToScheme))
	w := &world{Env: env, t: t, vc: env.Namespace(t), config: options, logs: &lines{}}
	w.ns = platformv1alpha1.HostNamespace(w.vc, "default")
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns, Labels: map[string]string{
		platformv1alpha1.LabelVirtualCluster:   w.vc,
		platformv1alpha1.LabelVirtualNamespace: "default",
	}}})
	w.start()
	t.Cleanup(func() { w.kill() })
	return w
}

// allow binds the tenant to what a tenant may do in its host namespace.
func (w *world) allow() *world {
	w.t.Helper()
	w.create(&rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "tenant"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets", "configmaps", "services", "pods", "persistentvolumeclaims", "events"}, Verbs: []string{"*"}},
			{APIGroups: []string{"apps"}, Resources: []string{"statefulsets", "deployments"}, Verbs: []string{"*"}},
			{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"*"}},
		},
	})
	w.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "tenant"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "tenant"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.vc, Name: platformv1alpha1.TenantServiceAccount}},
	})
	return w
}

// restrict gives the tenant other verbs for the resources of a rule, and waits until the API server knows.
func (w *world) restrict(resource string, verbs ...string) {
	w.t.Helper()
	role := &rbacv1.Role{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: "tenant"}, role); err != nil {
		w.t.Fatal(err)
	}
	attributes := &authorizationv1.ResourceAttributes{Namespace: w.ns, Verb: "delete", Resource: resource}
	for i := range role.Rules {
		if slices.Contains(role.Rules[i].Resources, resource) {
			role.Rules[i].Verbs, attributes.Group = verbs, role.Rules[i].APIGroups[0]
		}
	}
	if err := w.Client.Update(w.t.Context(), role); err != nil {
		w.t.Fatal(err)
	}
	testenv.Eventually(w.t, func(ctx context.Context) error {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + w.vc + ":" + platformv1alpha1.TenantServiceAccount, ResourceAttributes: attributes,
		}}
		if err := w.Client.Create(ctx, review); err != nil {
			return err
		}
		if review.Status.Allowed != slices.Contains(verbs, "*") {
			return fmt.Errorf("the tenant may delete %s: %t", resource, review.Status.Allowed)
		}
		return nil
	})
}

// start runs the engine in a manager of its own; kill ends it as a crash would.
func (w *world) start() {
	w.t.Helper()
	mgr, err := ctrl.NewManager(w.Config, ctrl.Options{
		Scheme:  w.Scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
		Logger:  w.logs.logger(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := SetupWithManager(mgr, w.config); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop, w.ended = cancel, make(chan error, 1)
	go func() { w.ended <- mgr.Start(ctx) }()
}

func (w *world) kill() {
	w.t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		w.t.Error(err)
	}
	w.ended <- nil
}

func (w *world) create(obj client.Object) {
	w.t.Helper()
	if err := w.Client.Create(w.t.Context(), obj); err != nil {
		w.t.Fatal(err)
	}
}

// releaseOf makes a Release of a chart in the catalog.
func (w *world) releaseOf(name, chart, version, values string) *helmv1beta1.Release {
	rel := &helmv1beta1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}
	rel.Spec.ForProvider.Chart = helmv1beta1.ChartSpec{
		Repository: "https://charts.bitnami.com/bitnami", Name: chart, Version: version,
	}
	if values != "" {
		rel.Spec.ForProvider.Values = runtime.RawExtension{Raw: []byte(values)}
	}
	return rel
}

// change edits a Release.
func (w *world) change(name string, edit func(*helmv1beta1.Release)) {
	w.t.Helper()
	rel := &helmv1beta1.Release{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, rel); err != nil {
		w.t.Fatal(err)
	}
	before := rel.DeepCopy()
	edit(rel)
	if err := w.Client.Patch(w.t.Context(), rel, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for a Release of which check returns nil.
func (w *world) until(name string, check func(*helmv1beta1.Release) error) *helmv1beta1.Release {
	w.t.Helper()
	rel := &helmv1beta1.Release{}
	testenv.Eventually(w.t, func(ctx context.Context) error {
		if err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: name}, rel); err != nil {
			return err
		}
		if err := check(rel); err != nil {
			return fmt.Errorf("%w; status: %+v", err, rel.Status)
		}
		return nil
	})
	return rel
}

// condition checks one condition: "Ready", "True", and what its message must contain.
func condition(typ, value, message string) func(*helmv1beta1.Release) error {
	return func(rel *helmv1beta1.Release) error {
		c := status.Get(rel.Status.Conditions, typ)
		switch {
		case c == nil:
			return fmt.Errorf("there is no condition %s", typ)
		case string(c.Status) != value || !strings.Contains(c.Message, message):
			return fmt.Errorf("%s is %s (%s), want %s with %q", typ, c.Status, c.Message, value, message)
		case rel.Status.ObservedGeneration != rel.Generation:
			return fmt.Errorf("generation %d has not been seen", rel.Generation)
		}
		return nil
	}
}

// all of several checks.
func all(checks ...func(*helmv1beta1.Release) error) func(*helmv1beta1.Release) error {
	return func(rel *helmv1beta1.Release) error {
		for _, check := range checks {
			if err := check(rel); err != nil {
				return err
			}
		}
		return nil
	}
}

// statefulSet waits for one, and returns it.
func (w *world) statefulSet(name string) *appsv1.StatefulSet {
	w.t.Helper()
	set := &appsv1.StatefulSet{}
	testenv.Eventually(w.t, func(ctx context.Context) error {
		return w.Client.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: name}, set)
	})
	return set
}

// playReady writes the status that the StatefulSet controller would once all Pods are ready.
func (w *world) playReady(name string) {
	w.t.Helper()
	set := w.statefulSet(name)
	n := *set.Spec.Replicas
	set.Status = appsv1.StatefulSetStatus{
		ObservedGeneration: set.Generation, Replicas: n, ReadyReplicas: n, AvailableReplicas: n,
		CurrentReplicas: n, UpdatedReplicas: n, CurrentRevision: "1", UpdateRevision: "1",
	}
	if err := w.Client.Status().Update(w.t.Context(), set); err != nil {
		w.t.Fatal(err)
	}
}

// tinyChart is a catalog with one chart "tiny" of the given versions: a ConfigMap with
// .Values.text, and whatever templates are given.
func tinyChart(templates map[string]string, versions ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for _, v := range versions {
		dir := "tiny-" + v + "/"
		files[dir+"Chart.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: v2\nname: tiny\nversion: " + v + "\n")}
		files[dir+"values.yaml"] = &fstest.MapFile{Data: []byte("text: hello\n")}
		files[dir+"values.schema.json"] = &fstest.MapFile{Data: []byte(
			`{"type":"object","properties":{"text":{"type":"string"}}}`)}
		files[dir+"templates/map.yaml"] = &fstest.MapFile{Data: []byte(
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  text: {{ .Values.text | quote }}\n")}
		for name, text := range templates {
			files[dir+"templates/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return files
}
