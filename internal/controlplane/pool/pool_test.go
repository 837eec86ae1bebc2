// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/controlplane/pool"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestServesAPreparedVirtualCluster(t *testing.T) {
	env := testenv.Start(t)
	f, ns := newTenants(t), env.Namespace(t)
	startMember(t, env, "skerry-pool-0", ns, f)
	vc := prepare(t, env)

	served := awaitServing(t, env, vc.Name, "skerry-pool-0")
	if served.Status.Version != "v1.37.2" || !slices.Contains(served.Finalizers, platformv1alpha1.FinalizerControlPlane) {
		t.Errorf("version %q, finalizers %v", served.Status.Version, served.Finalizers)
	}
	spec := f.get(vc.Name).spec
	if spec.EtcdPrefix != "/skerry/"+vc.Name || spec.ServiceIP != "10.96.0.7" || spec.DNSIP != "10.96.0.8" || string(spec.Secret["ca.crt"]) != "first" {
		t.Errorf("it was started from %+v", spec)
	}
	lease := &coordinationv1.Lease{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "vc-" + vc.Name}, lease); err != nil || *lease.Spec.HolderIdentity != "skerry-pool-0" {
		t.Errorf("the Lease is held by %v, %v", lease.Spec.HolderIdentity, err)
	}
	for service, ports := range map[string]string{vc.Name: "https:6443/TCP", "dns": "dns:5301/UDP dns-tcp:5302/TCP"} {
		slice := &discoveryv1.EndpointSlice{}
		if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: vc.Name, Name: service}, slice); err != nil {
			t.Fatal(err)
		}
		if got := describe(slice); got != service+" -> 10.1.2.3 "+ports {
			t.Errorf("EndpointSlice %s", got)
		}
	}
}

func describe(s *discoveryv1.EndpointSlice) string {
	var ports []string
	for _, p := range s.Ports {
		ports = append(ports, fmt.Sprintf("%s:%d/%s", *p.Name, *p.Port, *p.Protocol))
	}
	return s.Labels[discoveryv1.LabelServiceName] + " -> " + s.Endpoints[0].Addresses[0] + " " + strings.Join(ports, " ")
}

func TestTenantActsOnTheHostAsItself(t *testing.T) {
	env := testenv.Start(t)
	f := newTenants(t)
	startMember(t, env, "skerry-pool-0", env.Namespace(t), f)
	vc := prepare(t, env)
	awaitServing(t, env, vc.Name, "skerry-pool-0")

	c, err := kubernetes.NewForConfig(f.get(vc.Name).spec.Host)
	if err != nil {
		t.Fatal(err)
	}
	me, err := c.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:" + vc.Name + ":skerry-tenant"; me.Status.UserInfo.Username != want {
		t.Errorf("it acts as %s, want %s", me.Status.UserInfo.Username, want)
	}
}

func TestTellsWhyItDoesNotServeAndTriesAgain(t *testing.T) {
	env := testenv.Start(t)
	f := newTenants(t)
	f.fail(true)
	startMember(t, env, "skerry-pool-0", env.Namespace(t), f)
	vc := prepare(t, env)

	testenv.Eventually(t, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); err != nil {
			return err
		}
		c := status.Get(vc.Status.Conditions, platformv1alpha1.ConditionControlPlaneReady)
		if c == nil || c.Status != metav1.ConditionFalse || c.Message != "pool member skerry-pool-0 tries again: etcd does not answer" {
			return fmt.Errorf("condition %v", c)
		}
		return nil
	})
	f.fail(false)
	awaitServing(t, env, vc.Name, "skerry-pool-0")

	close(f.get(vc.Name).done) // it ends by itself
	testenv.Eventually(t, func(context.Context) error {
		if f.started() < 2 {
			return errors.New("not started again")
		}
		return nil
	})
	awaitServing(t, env, vc.Name, "skerry-pool-0")
}

func TestHandsRotatedCertificatesOver(t *testing.T) {
	env := testenv.Start(t)
	f := newTenants(t)
	startMember(t, env, "skerry-pool-0", env.Namespace(t), f)
	vc := prepare(t, env)
	awaitServing(t, env, vc.Name, "skerry-pool-0")

	secret := &corev1.Secret{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: vc.Name, Name: platformv1alpha1.ControlPlaneSecret(vc.Name)}, secret); err != nil {
		t.Fatal(err)
	}
	secret.Data["ca.crt"] = []byte("second")
	if err := env.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	select {
	case data := <-f.get(vc.Name).updates:
		if string(data["ca.crt"]) != "second" {
			t.Errorf("got %q", data["ca.crt"])
		}
	case <-time.After(testenv.Patience):
		t.Error("the tenant was not told")
	}
}

func TestDeletionIsDrainedThenStopped(t *testing.T) {
	env := testenv.Start(t)
	f, ns := newTenants(t), env.Namespace(t)
	stop := startMember(t, env, "skerry-pool-0", ns, f)
	vc := prepare(t, env)
	awaitServing(t, env, vc.Name, "skerry-pool-0")

	if err := env.Client.Delete(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	// The member restarts while the operator drains: it serves again, for that.
	stop()
	starts := f.started()
	startMember(t, env, "skerry-pool-0", ns, f)
	testenv.Eventually(t, func(context.Context) error {
		if f.started() == starts || f.get(vc.Name) == nil {
			return errors.New("it does not serve while it is drained")
		}
		return nil
	})
	awaitServing(t, env, vc.Name, "skerry-pool-0")

	vc.Status = platformv1alpha1.VirtualClusterStatus{}
	setPrepared(t, env, vc, metav1.ConditionFalse)
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(vc), vc); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there with finalizers %v, %v", vc.Finalizers, err)
		}
		return nil
	})
	if f.get(vc.Name) != nil {
		t.Error("the finalizer went before the tenant had stopped")
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		err := env.Client.Get(ctx, client.ObjectKey{Namespace: ns, Name: "vc-" + vc.Name}, &coordinationv1.Lease{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Lease is still there: %v", err)
		}
		return nil
	})
}

func TestAnotherMemberTakesOver(t *testing.T) {
	env := testenv.Start(t)
	// Both members start tenants through the same counter, which fails the test when one runs twice.
	f, ns := newTenants(t), env.Namespace(t)
	stopFirst := startMember(t, env, "skerry-pool-0", ns, f)
	vc := prepare(t, env)
	awaitServing(t, env, vc.Name, "skerry-pool-0")
	startMember(t, env, "skerry-pool-1", ns, f)

	stopFirst()
	awaitServing(t, env, vc.Name, "skerry-pool-1")
}

func TestServiceCIDRIsTheHosts(t *testing.T) {
	env := testenv.Start(t)
	c, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pool.ServiceCIDR(t.Context(), c)
	if err != nil || got != "10.96.0.0/16" {
		t.Errorf("got %q, %v", got, err)
	}
}
