// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/etcd"
	"github.com/skerry-platform/skerry/internal/status"
)

// preparation is one pass over the steps of one VirtualCluster. Steps of one round run
// side by side and write different fields.
type preparation struct {
	*clusterReconciler
	vc       *v1alpha1.VirtualCluster
	tenant   etcd.Tenant
	api, dns *corev1.Service
	// As read before; see store.readSecret.
	controlPlane, kubeconfig *corev1.Secret
	renewal                  time.Time
	digest                   string // of the control plane Secret
}

// step does one thing, as often as it is called.
type step func(context.Context) error

// rounds are the steps in order. A round is one step of latency: what is independent is
// done side by side, so a new cluster needs five writes in a row (with finalizer and status).
func (p *preparation) rounds() [][]step {
	objects := []step{p.ensureAPIService, p.ensureDNSService, p.readControlPlane, p.readKubeconfig}
	for _, o := range homeObjects(p.vc.Name, p.opts) {
		objects = append(objects, func(ctx context.Context) error { return p.store.ensure(ctx, o) })
	}
	return [][]step{
		{p.ensureHomeNamespace, p.ensureEtcdTenant},
		objects,
		{p.writeSecrets},
	}
}

// prepare runs the steps and writes Prepared and what a pool member needs into vc's status.
func (r *clusterReconciler) prepare(ctx context.Context, vc *v1alpha1.VirtualCluster) (ctrl.Result, error) {
	p := &preparation{clusterReconciler: r, vc: vc, tenant: tenantOf(vc), api: apiService(vc.Name), dns: dnsService(vc.Name)}
	if err := p.run(ctx); err != nil {
		if !status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionPrepared) {
			reason := v1alpha1.ReasonReconcileError
			var b blocked
			if errors.As(err, &b) {
				reason = b.reason
			}
			setPrepared(vc, metav1.ConditionFalse, reason, err.Error())
		}
		return ctrl.Result{}, err
	}
	s := &vc.Status
	s.ServiceIP, s.DNSIP = p.api.Spec.ClusterIP, p.dns.Spec.ClusterIP
	s.EtcdPrefix = p.tenant.Prefix
	s.ClusterEndpoint.Direct = endpoint(vc.Name)
	s.KubeconfigSecretRef = &corev1.SecretReference{Namespace: vc.Name, Name: v1alpha1.KubeconfigSecret(vc.Name)}
	if !status.IsTrue(s.Conditions, v1alpha1.ConditionPrepared) {
		log.FromContext(ctx).Info("prepared", "after", r.clock.Since(vc.CreationTimestamp.Time).Round(time.Millisecond).String())
	}
	// The digest in the message makes a new Secret an event for everyone who watches the
	// VirtualCluster: the pool member and the registration read it again.
	setPrepared(vc, metav1.ConditionTrue, reasonPrepared, "control plane Secret "+p.digest)
	return ctrl.Result{RequeueAfter: max(time.Second, p.renewal.Sub(r.clock.Now()))}, nil
}

func (p *preparation) run(ctx context.Context) error {
	if p.vc.Spec.Placement == v1alpha1.PlacementDedicated {
		return blocked{reason: reasonNotServed, message: "spec.placement dedicated is not served by this version; create the virtual cluster with placement shared"}
	}
	for _, round := range p.rounds() {
		group, gctx := errgroup.WithContext(ctx)
		for _, do := range round {
			group.Go(func() error { return do(gctx) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (p *preparation) ensureHomeNamespace(ctx context.Context) error {
	return p.store.claimNamespace(ctx, homeNamespace(p.vc.Name))
}

// ensureEtcdTenant asks etcd nothing while the control plane serves: it could not
// without its user.
func (p *preparation) ensureEtcdTenant(ctx context.Context) error {
	conds := p.vc.Status.Conditions
	if p.vc.Status.EtcdPrefix == p.tenant.Prefix {
		if status.IsTrue(conds, v1alpha1.ConditionControlPlaneReady) {
			return nil
		}
		if has, err := p.opts.Etcd.HasTenant(ctx, p.tenant); has || err != nil {
			return err
		}
	}
	return p.opts.Etcd.EnsureTenant(ctx, p.tenant)
}

func (p *preparation) ensureAPIService(ctx context.Context) error {
	return p.ensureService(ctx, p.api, p.vc.Status.ServiceIP)
}

func (p *preparation) ensureDNSService(ctx context.Context) error {
	return p.ensureService(ctx, p.dns, p.vc.Status.DNSIP)
}

// ensureService gives a Service that was deleted its address back: Pods and kubeconfigs have it
// from when they were made. When somebody else has taken it, there is a new one.
//
// The API server tells of a deletion before it gives the address free, so one that is taken is
// asked for again for about a second.
func (p *preparation) ensureService(ctx context.Context, service *corev1.Service, had string) error {
	if had == "" {
		return p.store.ensure(ctx, service)
	}
	released := wait.Backoff{Duration: 10 * time.Millisecond, Factor: 1.5, Steps: 10}
	err := retry.OnError(released, func(err error) bool { return ctx.Err() == nil && apierrors.IsInvalid(err) }, func() error {
		return p.store.ensure(ctx, service, func(u *unstructured.Unstructured) error {
			return unstructured.SetNestedField(u.Object, had, "spec", "clusterIP")
		})
	})
	if apierrors.IsInvalid(err) {
		return p.store.ensure(ctx, service)
	}
	return err
}

func (p *preparation) readControlPlane(ctx context.Context) (err error) {
	p.controlPlane, err = p.store.readSecret(ctx, p.vc.Name, v1alpha1.ControlPlaneSecret(p.vc.Name))
	return err
}

func (p *preparation) readKubeconfig(ctx context.Context) (err error) {
	p.kubeconfig, err = p.store.readSecret(ctx, p.vc.Name, v1alpha1.KubeconfigSecret(p.vc.Name))
	return err
}

// writeSecrets issues what is missing or stale and writes both Secrets side by side.
func (p *preparation) writeSecrets(ctx context.Context) error {
	if p.api.Spec.ClusterIP == "" || p.dns.Spec.ClusterIP == "" {
		return fmt.Errorf("the Services %s and %s in namespace %s have no ClusterIP yet", p.api.Name, p.dns.Name, p.vc.Name)
	}
	authority, err := p.opts.etcdAuthority()
	if err != nil {
		return err
	}
	dns, ips := servingNames(p.vc.Name, p.api)
	m := material{name: p.vc.Name, dns: dns, ips: ips, etcdUser: p.tenant.User, etcd: authority, now: p.clock.Now()}
	made, err := m.plan(p.controlPlane.Data, p.kubeconfig.Data)
	if err != nil {
		return fmt.Errorf("issuing the certificates of virtual cluster %s: %w", p.vc.Name, err)
	}
	if len(made.reissued) > 0 {
		log.FromContext(ctx).Info("issued certificates", "reasons", made.reissued)
	}
	p.renewal, p.digest = made.renewal(), made.digest()
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.store.writeSecret(gctx, p.controlPlane, made.controlPlane) })
	group.Go(func() error { return p.store.writeSecret(gctx, p.kubeconfig, made.kubeconfig) })
	return group.Wait()
}

func tenantOf(vc *v1alpha1.VirtualCluster) etcd.Tenant {
	return etcd.TenantOf(vc.Name, string(vc.UID))
}
