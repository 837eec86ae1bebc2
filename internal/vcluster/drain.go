// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// applications are the OAM Applications inside a virtual cluster.
var applications = schema.GroupVersionResource{Group: "core.oam.dev", Version: "v1beta1", Resource: "applications"}

// drainer is the first phase of a deletion: it deletes the OAM Applications inside the
// virtual cluster, so that their engine, which stops with the control plane, can
// clean up behind them. It watches a tenant for as long as that takes, so it is a controller
// of its own with many workers, and no other virtual cluster waits for it.
//
// It is best effort and bounded: the later phases remove whatever is left on the host.
type drainer struct {
	client client.Client
	store  store
	opts   Options
	clock  clock.PassiveClock
}

// Reconcile implements reconcile.Reconciler.
func (d *drainer) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	vc := &v1alpha1.VirtualCluster{}
	if err := d.client.Get(ctx, req.NamespacedName, vc); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !wantsDrain(vc) {
		return ctrl.Result{}, nil
	}
	end := vc.DeletionTimestamp.Add(d.opts.DrainTimeout)
	bounded, cancel := context.WithTimeout(ctx, max(time.Second, end.Sub(d.clock.Now())))
	defer cancel()
	reason, message := d.drain(bounded, vc)
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err() // stopping: the next process begins anew
	}
	log.FromContext(ctx).Info("drained", "reason", reason, "message", message)
	return finish(ctx, ctrl.Result{}, nil, d.report(ctx, vc, metav1.ConditionTrue, reason, message))
}

// wantsDrain is also the controller's event filter.
func wantsDrain(vc *v1alpha1.VirtualCluster) bool {
	return !vc.DeletionTimestamp.IsZero() && vc.Annotations[v1alpha1.AnnotationPaused] != "true" &&
		!status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionDrained)
}

func (d *drainer) drain(ctx context.Context, vc *v1alpha1.VirtualCluster) (reason, message string) {
	if !status.IsTrue(vc.Status.Conditions, v1alpha1.ConditionControlPlaneReady) {
		return reasonDrainSkipped, "skipped: the control plane was not serving; Releases on the host are removed all the same"
	}
	config, err := d.store.tenantConfig(ctx, vc)
	if err != nil {
		return reasonDrainSkipped, "skipped: " + err.Error()
	}
	tenant, err := dynamic.NewForConfig(config)
	if err != nil {
		return reasonDrainSkipped, fmt.Sprintf("skipped: configuring a client: %v", err)
	}
	remaining, err := deleteApplications(ctx, tenant.Resource(applications), func(waiting string) {
		if err := d.report(ctx, vc, metav1.ConditionFalse, v1alpha1.ReasonDeleting, waiting); err != nil {
			log.FromContext(ctx).V(1).Info("progress was not written", "error", err.Error())
		}
	})
	switch {
	case err == nil:
		return reasonDrained, "no OAM Application is left"
	case remaining != "":
		return reasonDrainIncomplete, fmt.Sprintf("gave up waiting for %s; Releases on the host are removed all the same", remaining)
	}
	return reasonDrainSkipped, fmt.Sprintf("skipped: the virtual cluster did not answer: %v", err)
}

// report writes the condition on the newest VirtualCluster, which others write as well, but not on another
// one of the same name.
func (d *drainer) report(ctx context.Context, vc *v1alpha1.VirtualCluster, s metav1.ConditionStatus, reason, message string) error {
	live := &v1alpha1.VirtualCluster{}
	if err := d.store.direct.Get(ctx, client.ObjectKeyFromObject(vc), live); err != nil || live.UID != vc.UID {
		return client.IgnoreNotFound(err)
	}
	before := live.DeepCopy()
	status.Set(&live.Status.Conditions, live.Generation, v1alpha1.ConditionDrained, s, reason, message)
	return status.Patch(ctx, d.client, live, before)
}

// deleteApplications deletes every Application and waits until none is left. When it
// cannot, remaining names those that it knows of.
func deleteApplications(ctx context.Context, api dynamic.NamespaceableResourceInterface, progress func(string)) (remaining string, err error) {
	for {
		list, err := api.List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) { // no OAM in this cluster
			return "", nil
		}
		if err != nil {
			return remaining, err
		}
		if len(list.Items) == 0 {
			return "", nil
		}
		remaining = names(list.Items)
		progress("waiting for OAM Applications in the virtual cluster to be deleted: " + remaining)
		for _, app := range list.Items {
			if app.GetDeletionTimestamp() != nil {
				continue
			}
			err := api.Namespace(app.GetNamespace()).Delete(ctx, app.GetName(), metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return remaining, err
			}
		}
		if err := awaitDeletion(ctx, api, list.GetResourceVersion()); err != nil {
			return remaining, err
		}
	}
}

// awaitDeletion returns when an Application was deleted, or the watch has ended.
func awaitDeletion(ctx context.Context, api dynamic.ResourceInterface, since string) error {
	w, err := api.Watch(ctx, metav1.ListOptions{ResourceVersion: since})
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, open := <-w.ResultChan():
			if !open || e.Type == watch.Deleted || e.Type == watch.Error {
				return ctx.Err()
			}
		}
	}
}

func names(items []unstructured.Unstructured) string {
	const most = 5
	out := make([]string, 0, most+1)
	for i := range items {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(items)-most))
			break
		}
		out = append(out, items[i].GetNamespace()+"/"+items[i].GetName())
	}
	return strings.Join(out, ", ")
}

// tenantConfig is the administrator's access to the virtual cluster. It dials the
// Service's address, which the certificate carries, so it needs no DNS.
func (s store) tenantConfig(ctx context.Context, vc *v1alpha1.VirtualCluster) (*rest.Config, error) {
	secret, err := s.readSecret(ctx, vc.Name, v1alpha1.KubeconfigSecret(vc.Name))
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data[keyConfig])
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig in Secret %s/%s: %w", vc.Name, v1alpha1.KubeconfigSecret(vc.Name), err)
	}
	if vc.Status.ServiceIP != "" {
		config.Host = "https://" + net.JoinHostPort(vc.Status.ServiceIP, "443")
	}
	config.Timeout = 0 // watches; every call has a context with a deadline
	config.Dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	config.Proxy = http.ProxyURL(nil) // straight, whatever the environment says
	return config, nil
}
