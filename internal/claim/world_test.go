// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// world is a host cluster with the claim stages at work; the test plays the other stages.
type world struct {
	*testenv.Env
	t         *testing.T
	namespace string
	argo      string
}

// newWorld starts the claim stages with an Argo CD namespace of their own.
func newWorld(t *testing.T, patience time.Duration) *world {
	t.Helper()
	log.SetLogger(zap.New(zap.UseDevMode(true)))
	w := &world{Env: testenv.Start(t, testenv.WithScheme(argov1alpha1.AddToScheme)), t: t}
	w.namespace, w.argo = w.Namespace(t), w.Namespace(t)
	mgr, err := ctrl.NewManager(w.Config, ctrl.Options{Scheme: w.Scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{DemoImage: "skerry.dev/demo:test", ArgoNamespace: w.argo, DeletionPatience: patience}
	if err := SetupWithManager(mgr, opts); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("the manager stopped with: %v", err)
		}
	})
	return w
}

// ask creates a claim for an application with both services.
func (w *world) ask(namespace, name string) *v1alpha1.ApplicationClaim {
	w.t.Helper()
	claim := &v1alpha1.ApplicationClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ApplicationClaimSpec{Name: name, Language: "go", Database: "postgres", Cache: "redis"},
	}
	if err := w.Client.Create(w.t.Context(), claim); err != nil {
		w.t.Fatal(err)
	}
	return claim
}

// eventually waits until the object exists and the check is content.
func eventually[T client.Object](w *world, o T, namespace, name string, check func(T) error) T {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		if err := w.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
			return err
		}
		return check(o)
	})
	return o
}

func exists[T client.Object](T) error { return nil }

// gone waits until there is no such object.
func gone(w *world, o client.Object, namespace, name string) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		err := w.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%T %s/%s is still there: %v", o, namespace, name, err)
	})
}

// play writes another stage's status.
func (w *world) play(o client.Object, change func()) {
	w.t.Helper()
	before, _ := o.DeepCopyObject().(client.Object)
	change()
	// The Argo CD kinds have no status subresource, as in Argo CD.
	patch := client.MergeFrom(before)
	var err error
	if _, isDelivery := o.(*argov1alpha1.Application); isDelivery {
		err = w.Client.Patch(w.t.Context(), o, patch)
	} else {
		err = w.Client.Status().Patch(w.t.Context(), o, patch)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) repositoryReady(name string) {
	w.t.Helper()
	r := eventually(w, &v1alpha1.Repository{}, w.namespace, name, exists)
	w.play(r, func() {
		r.Status.CloneURL, r.Status.URL, r.Status.Branch = "http://git/skerry/"+name+".git", "http://git/skerry/"+name, "main"
		status.Set(&r.Status.Conditions, r.Generation, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "")
	})
}

func (w *world) clusterReady(name string) {
	w.t.Helper()
	vc := eventually(w, &v1alpha1.VirtualCluster{}, "", name, exists)
	w.play(vc, func() {
		for _, typ := range []string{v1alpha1.ConditionPrepared, v1alpha1.ConditionControlPlaneReady, v1alpha1.ConditionRegistered, v1alpha1.ConditionReady} {
			status.Set(&vc.Status.Conditions, vc.Generation, typ, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "")
		}
		vc.Status.KubeconfigSecretRef = &corev1.SecretReference{Namespace: name, Name: v1alpha1.KubeconfigSecret(name)}
	})
}

func (w *world) delivered(name string, health argov1alpha1.HealthStatusCode, message string) {
	w.t.Helper()
	d := eventually(w, &argov1alpha1.Application{}, w.argo, name+"-oam", exists)
	w.play(d, func() {
		d.Status.Sync = argov1alpha1.SyncStatus{Status: argov1alpha1.SyncStatusSynced, Revision: "0123456789"}
		d.Status.Health = argov1alpha1.AppHealthStatus{Status: health, Message: message}
		d.Status.Resources = []argov1alpha1.ResourceStatus{{Group: "core.oam.dev", Kind: "Application", Namespace: "default", Name: name}}
	})
}

// ready waits for the condition Ready of a claim.
func (w *world) ready(namespace, name string, value metav1.ConditionStatus, reason string, says ...string) *v1alpha1.ApplicationClaim {
	w.t.Helper()
	return eventually(w, &v1alpha1.ApplicationClaim{}, namespace, name, func(c *v1alpha1.ApplicationClaim) error {
		cond := status.Get(c.Status.Conditions, v1alpha1.ConditionReady)
		if cond == nil || cond.Status != value || cond.Reason != reason {
			return fmt.Errorf("Ready is %+v", cond)
		}
		for _, s := range says {
			if !strings.Contains(cond.Message, s) {
				return fmt.Errorf("message %q does not say %q", cond.Message, s)
			}
		}
		return nil
	})
}

// letGo removes a finalizer as the other stage would when its work is done.
func (w *world) letGo(o client.Object) {
	w.t.Helper()
	before, _ := o.DeepCopyObject().(client.Object)
	o.SetFinalizers(nil)
	if err := w.Client.Patch(w.t.Context(), o, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delete(o client.Object) {
	w.t.Helper()
	if err := w.Client.Delete(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}
