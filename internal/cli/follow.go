// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// reconnect is the pause before a broken watch is started anew.
const reconnect = 500 * time.Millisecond

// noClaimError says that there is no such ApplicationClaim.
type noClaimError struct{ key client.ObjectKey }

func (e *noClaimError) Error() string {
	return fmt.Sprintf("there is no ApplicationClaim %s in namespace %s; `skerry get -A` lists them all", e.key.Name, e.key.Namespace)
}

// readClaim reads a claim.
func (h *host) readClaim(ctx context.Context, name string) (*v1alpha1.ApplicationClaim, error) {
	claim := &v1alpha1.ApplicationClaim{}
	key := client.ObjectKey{Namespace: h.namespace, Name: name}
	if err := h.client.Get(ctx, key, claim); err != nil {
		return nil, explain(err, key)
	}
	return claim, nil
}

// explain turns the API's error about a claim into the way out.
func explain(err error, key client.ObjectKey) error {
	switch {
	case apierrors.IsNotFound(err) && !isMissingKind(err):
		return &noClaimError{key}
	case isMissingKind(err), meta.IsNoMatchError(err):
		return fmt.Errorf("Skerry is not installed in this cluster (it does not know ApplicationClaims): run `skerry install`, or choose another with --kubeconfig or --context")
	}
	var noWay *url.Error // of the transport: there was no answer
	switch {
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the host cluster does not accept your credentials; choose others with --kubeconfig or --context: %w", err)
	case errors.As(err, &noWay) && !errors.Is(err, context.Canceled):
		return fmt.Errorf("the host cluster does not answer: %w\n       choose another with --kubeconfig or --context; `skerry status` shows the local platform, `skerry up` starts it", noWay.Err)
	case key.Name == "":
		return fmt.Errorf("reading ApplicationClaims: %w", err)
	}
	return fmt.Errorf("reading ApplicationClaim %s: %w", key, err)
}

// isMissingKind tells "no such kind" from "no such object": the API answers both with 404, but
// names the object only in the second.
func isMissingKind(err error) bool {
	var s apierrors.APIStatus
	return errors.As(err, &s) && apierrors.IsNotFound(err) && (s.Status().Details == nil || s.Status().Details.Name == "")
}

// follow calls f with the claim as it is and after every change, nil when it is gone, until f says
// that it is done or the context ends.
func (h *host) follow(ctx context.Context, name string, f func(*v1alpha1.ApplicationClaim) (done bool, err error)) error {
	for {
		done, err := h.followOnce(ctx, name, f)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(reconnect):
		}
	}
}

// followOnce lists and watches until the watch breaks. The connection may break while the host's
// API server restarts; then everything begins anew.
func (h *host) followOnce(ctx context.Context, name string, f func(*v1alpha1.ApplicationClaim) (bool, error)) (bool, error) {
	var list v1alpha1.ApplicationClaimList
	only := []client.ListOption{client.InNamespace(h.namespace), client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", name)}}
	if err := h.client.List(ctx, &list, only...); err != nil {
		if lasting(err) {
			return false, explain(err, client.ObjectKey{Namespace: h.namespace, Name: name})
		}
		return false, nil
	}
	var current *v1alpha1.ApplicationClaim
	if len(list.Items) > 0 {
		current = &list.Items[0]
	}
	if done, err := f(current); done || err != nil {
		return done, err
	}
	w, err := h.client.Watch(ctx, &v1alpha1.ApplicationClaimList{}, append(only, fromVersion(list.ResourceVersion))...)
	if err != nil {
		if lasting(err) {
			return false, fmt.Errorf("watching ApplicationClaim %s/%s: %w", h.namespace, name, err)
		}
		return false, nil
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		claim, ok := event.Object.(*v1alpha1.ApplicationClaim)
		if !ok {
			return false, nil
		}
		if event.Type == watch.Deleted {
			claim = nil
		}
		if done, err := f(claim); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// lasting errors do not go away by trying again.
func lasting(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err) || meta.IsNoMatchError(err)
}

// fromVersion starts a watch where a list ended.
func fromVersion(version string) client.ListOption {
	return &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}}
}
