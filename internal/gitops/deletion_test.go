// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// deletion is an Application with an inventory that is being deleted while its cluster does not answer, and an
// engine that was just started.
func deletion(t *testing.T, patience time.Duration) (*reconciler, *argov1alpha1.Application) {
	t.Helper()
	env := testenv.Start(t, testenv.WithScheme(argov1alpha1.AddToScheme))
	ns := env.Namespace(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "c", Labels: map[string]string{argov1alpha1.LabelSecretType: argov1alpha1.SecretTypeCluster}},
		StringData: map[string]string{"name": "shop", "server": "https://127.0.0.1:1", "config": "{}"},
	}
	app := &argov1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app", Finalizers: []string{argov1alpha1.ResourcesFinalizer}},
		Spec:       argov1alpha1.ApplicationSpec{Project: "shop", Destination: argov1alpha1.ApplicationDestination{Name: "shop", Namespace: ns}},
	}
	app.Status.Sync.ComparedTo.Destination = app.Spec.Destination
	app.Status.Resources = []argov1alpha1.ResourceStatus{{Version: "v1", Kind: "ConfigMap", Namespace: ns, Name: "a"}}
	for _, o := range []client.Object{secret, app} {
		if err := env.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if err := env.Client.Delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	r := &reconciler{
		client: env.Client, reader: env.Client, secrets: env.Client, opts: Options{Namespace: ns, DeletionPatience: patience},
		destinations: &destinations{secrets: env.Client, namespace: ns}, recorder: events.NewFakeRecorder(10), base: t.Context(),
	}
	t.Cleanup(func() { r.forget(client.ObjectKeyFromObject(app)) })
	return r, app
}

// isHeld lets the engine look at the deletion once, and reports whether the Application is still there.
func isHeld(t *testing.T, r *reconciler, app *argov1alpha1.Application) bool {
	t.Helper()
	if err := r.client.Get(t.Context(), client.ObjectKeyFromObject(app), app); err != nil {
		t.Fatal(err)
	}
	if _, err := r.delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	err := r.client.Get(t.Context(), client.ObjectKeyFromObject(app), app)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return !apierrors.IsNotFound(err) && slices.ContainsFunc(app.Finalizers, isResourcesFinalizer)
}

// After a restart the cluster may need longer than the engine, however old the deletion is.
func TestPatienceBeginsWithTheFirstSilence(t *testing.T) {
	r, app := deletion(t, time.Nanosecond)
	if !isHeld(t, r, app) {
		t.Fatal("the first time that the cluster did not answer was the last")
	}
	if isHeld(t, r, app) {
		t.Error("the patience has no end")
	}
}

// The cache has heard that the cluster Secret was deleted, and not yet that it was made again.
func TestASecretThatTheCacheLacksIsNoLostCluster(t *testing.T) {
	r, app := deletion(t, time.Hour)
	r.destinations.secrets = behind{r.destinations.secrets}
	if !isHeld(t, r, app) {
		t.Fatal("the Application was let go although its cluster is there")
	}
	if err := r.client.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: "c"}}); err != nil {
		t.Fatal(err)
	}
	if isHeld(t, r, app) {
		t.Error("the Application waits for a cluster that is gone")
	}
}

// behind is a cache that has no Secrets yet.
type behind struct{ client.Reader }

func (behind) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
