// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package register makes a virtual cluster known to the GitOps engine: an account with few
// rights inside it, and an Argo CD cluster Secret on the host with a token that lives
// an hour and is replaced at half its life. It is station 5 (register) of docs/flow.md.
//
// It holds a VirtualCluster by FinalizerRegistration. When that is deleted, the Secret
// stays until condition Drained is True (station 4 sets it when the OAM Applications are
// gone), and the control plane runs until the finalizer is gone.
package register

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

const (
	reasonSecretTaken = "SecretTaken"
	reasonInvalid     = "InvalidSpec"
)

// reconciler keeps the registration of one VirtualCluster.
type reconciler struct {
	client client.Client
	direct client.Reader // Secrets are not cached
	opts   Options
	clock  clock.PassiveClock
	events events.EventRecorder
}

// retryConflict is when to look again after somebody else wrote first: time for the cache to follow.
const retryConflict = 50 * time.Millisecond

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	vc := &v1alpha1.VirtualCluster{}
	if err := r.client.Get(ctx, req.NamespacedName, vc); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	result, err := r.reconcile(ctx, vc)
	if apierrors.IsConflict(err) {
		log.FromContext(ctx).V(1).Info("somebody else wrote first; reconciling what is there now")
		return ctrl.Result{RequeueAfter: retryConflict}, nil
	}
	return result, err
}

func (r *reconciler) reconcile(ctx context.Context, vc *v1alpha1.VirtualCluster) (ctrl.Result, error) {
	if vc.Annotations[v1alpha1.AnnotationPaused] == "true" {
		return ctrl.Result{}, nil
	}
	registered := controllerutil.ContainsFinalizer(vc, v1alpha1.FinalizerRegistration)
	switch {
	case !vc.DeletionTimestamp.IsZero():
		if !registered || !status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionDrained) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, r.unregister(ctx, vc)
	case vc.Spec.GitOps == nil:
		if !registered {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, r.unregister(ctx, vc)
	case !status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionControlPlaneReady):
		return ctrl.Result{}, nil // its next change brings us back
	}
	return r.reconcileRegistration(ctx, vc)
}

func (r *reconciler) reconcileRegistration(ctx context.Context, vc *v1alpha1.VirtualCluster) (ctrl.Result, error) {
	before := vc.DeepCopy()
	if controllerutil.AddFinalizer(vc, v1alpha1.FinalizerRegistration) {
		if err := r.client.Patch(ctx, vc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer to VirtualCluster %s: %w", vc.Name, err)
		}
		before = vc.DeepCopy()
	}
	got, err := r.register(ctx, vc)
	var refused refusal
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{}, err
	case errors.As(err, &refused):
		setRegistered(vc, metav1.ConditionFalse, refused.reason, refused.message)
		err = nil
	case err != nil && !(got.usable && status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionRegistered)):
		setRegistered(vc, metav1.ConditionFalse, v1alpha1.ReasonReconcileError, err.Error())
	case err == nil:
		setRegistered(vc, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "")
	}
	written := status.Patch(ctx, r.client, vc, before)
	if written == nil {
		status.Announce(r.events, vc, before.Status.Conditions, vc.Status.Conditions, v1alpha1.ConditionRegistered)
	}
	if err = errors.Join(err, written); err != nil || got.renewAt.IsZero() {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: max(time.Second, got.renewAt.Sub(r.clock.Now()))}, nil
}

// refusal is an error that only a person can mend.
type refusal struct{ reason, message string }

func (e refusal) Error() string { return e.message }

// state of the cluster Secret after register.
type state struct {
	renewAt time.Time // when it must be written again; zero: not known
	usable  bool      // also when register failed: what the engine holds opens the virtual cluster
}

// register brings the cluster Secret up to date.
// Nothing is asked of the virtual cluster while the Secret is good.
func (r *reconciler) register(ctx context.Context, vc *v1alpha1.VirtualCluster) (state, error) {
	resources, err := parseResources(vc.Spec.GitOps.Resources)
	if err != nil {
		return state{}, refusal{reason: reasonInvalid, message: err.Error()}
	}
	kubeconfig, current, err := r.read(ctx, vc)
	if err != nil {
		return state{usable: !apierrors.IsNotFound(err)}, err // else the host only did not answer
	}
	want := registration{
		virtualCluster: vc.Name, namespace: r.opts.ArgoNamespace, ca: kubeconfig.Data["certificate-authority"],
		access: accessHash(string(vc.UID), vc.Spec.GitOps.Resources),
	}
	why, renewAt := want.stale(current, r.clock.Now())
	if why == "" {
		return state{renewAt, true}, nil
	}
	log.FromContext(ctx).Info("writing the cluster Secret", "reason", why)
	got := state{usable: want.usable(current, r.clock.Now())}
	got.renewAt, err = r.renew(ctx, vc, kubeconfig, want, current, resources)
	return got, err
}

// renew gives the engine its rights and a new token.
func (r *reconciler) renew(ctx context.Context, vc *v1alpha1.VirtualCluster, kubeconfig *corev1.Secret, want registration, current *corev1.Secret, resources []resource) (renewAt time.Time, err error) {
	tenant, err := r.tenant(vc, kubeconfig)
	if err != nil {
		return renewAt, err
	}
	if err := grant(ctx, tenant, resources); err != nil {
		return renewAt, err
	}
	issued := r.clock.Now()
	token, expires, err := issue(ctx, tenant, r.opts.TokenLife)
	if err != nil {
		return renewAt, err
	}
	secret, err := want.secret(token, issued, expires)
	if err != nil {
		return renewAt, err
	}
	return halfLife(issued, expires), r.write(ctx, current, secret)
}

// read gets the kubeconfig and the cluster Secret as it is, nil when there is none. A Secret of that
// name that is not ours is refused.
func (r *reconciler) read(ctx context.Context, vc *v1alpha1.VirtualCluster) (kubeconfig, current *corev1.Secret, err error) {
	kubeconfig = &corev1.Secret{}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		key := client.ObjectKey{Namespace: vc.Name, Name: v1alpha1.KubeconfigSecret(vc.Name)}
		if err := r.direct.Get(gctx, key, kubeconfig); err != nil {
			return fmt.Errorf("reading the kubeconfig in Secret %s: %w", key, err)
		}
		return nil
	})
	group.Go(func() (err error) {
		current, err = r.current(gctx, vc.Name)
		return err
	})
	return kubeconfig, current, group.Wait()
}

func (r *reconciler) current(ctx context.Context, virtualCluster string) (*corev1.Secret, error) {
	key := client.ObjectKey{Namespace: r.opts.ArgoNamespace, Name: SecretName(virtualCluster)}
	s := &corev1.Secret{}
	err := r.direct.Get(ctx, key, s)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the cluster Secret %s: %w", key, err)
	case s.Labels[v1alpha1.LabelVirtualCluster] != virtualCluster:
		return nil, refusal{reason: reasonSecretTaken, message: fmt.Sprintf(
			"Secret %s exists and was not made for this virtual cluster: delete it, or label it %s=%s to hand it over", key, v1alpha1.LabelVirtualCluster, virtualCluster)}
	}
	return s, nil
}

// write creates or replaces the Secret; somebody else's write in between is a conflict.
func (r *reconciler) write(ctx context.Context, current, want *corev1.Secret) error {
	var err error
	if current == nil {
		err = r.client.Create(ctx, want, client.FieldOwner(fieldOwner))
	} else {
		want.ResourceVersion = current.ResourceVersion
		err = r.client.Update(ctx, want, client.FieldOwner(fieldOwner))
	}
	if err != nil {
		return fmt.Errorf("writing the cluster Secret %s: %w", client.ObjectKeyFromObject(want), err)
	}
	return nil
}

// tenant is the administrator's client of the virtual cluster. It dials the Service's
// address, which the certificate carries, so it needs no DNS.
func (r *reconciler) tenant(vc *v1alpha1.VirtualCluster, kubeconfig *corev1.Secret) (kubernetes.Interface, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig.Data["config"])
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig in Secret %s/%s: %w", vc.Name, kubeconfig.Name, err)
	}
	if vc.Status.ServiceIP != "" {
		config.Host = "https://" + net.JoinHostPort(vc.Status.ServiceIP, "443")
	}
	config.Timeout = r.opts.Timeout
	config.Dial, config.Proxy = r.opts.Dial, http.ProxyURL(nil) // straight, whatever the environment says
	config.QPS = -1
	return kubernetes.NewForConfig(config)
}

func setRegistered(vc *v1alpha1.VirtualCluster, s metav1.ConditionStatus, reason, message string) {
	status.Set(&vc.Status.Conditions, vc.Generation, v1alpha1.ConditionRegistered, s, reason, message)
}
