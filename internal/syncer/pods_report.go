// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// reportStatus binds the virtual Pod to the host Pod's node and writes the host's status into it.
func (s *pods) reportStatus(ctx context.Context, p podPair) error {
	if p.virtual.Spec.NodeName == "" && p.host.Spec.NodeName != "" && p.virtual.DeletionTimestamp == nil {
		if err := s.bind(ctx, p); err != nil {
			return err
		}
	}
	before := p.virtual.DeepCopy()
	p.virtual.Status = virtualPodStatus(p.virtual, p.host)
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, p.virtual, before))
}

// bind is what a scheduler does.
func (s *pods) bind(ctx context.Context, p podPair) error {
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.key.Namespace, Name: p.key.Name, UID: p.virtual.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: p.host.Spec.NodeName},
	}
	err := s.virtual.SubResource("binding").Create(ctx, p.virtual.DeepCopy(), binding)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("binding Pod %s to node %s: %w", p.key, p.host.Spec.NodeName, err)
	}
	return nil
}

// change writes to the host Pod what changed in the virtual one and may change in place.
func (s *pods) change(ctx context.Context, p podPair) error {
	before := p.host.DeepCopy()
	s.mergePod(p.host, p.virtual)
	if err := patch(ctx, s.host, p.host, before); err != nil {
		return err
	}
	return errors.Join(s.changeGates(ctx, p), s.resize(ctx, p), s.debug(ctx, p))
}

// changeGates carries the conditions of readiness gates to where the kubelet reads them.
func (s *pods) changeGates(ctx context.Context, p podPair) error {
	before := p.host.DeepCopy()
	if !mergeGates(p.host, p.virtual) {
		return nil
	}
	return patchStatus(ctx, s.host, p.host, before)
}

// resize changes CPU and memory of a running Pod.
func (s *pods) resize(ctx context.Context, p podPair) error {
	before := p.host.DeepCopy()
	if !mergeResources(p.host, p.virtual) {
		return nil
	}
	if err := namesake(s.host.SubResource("resize").Patch(ctx, p.host, patchFrom(before))); err != nil {
		return fmt.Errorf("resizing host Pod %s: %w", client.ObjectKeyFromObject(before), err)
	}
	return nil
}

// debug adds ephemeral containers and what they refer to.
func (s *pods) debug(ctx context.Context, p podPair) error {
	before := p.host.DeepCopy()
	if !s.mergeEphemeral(p.host, p.virtual) {
		return nil
	}
	if err := s.refs.ensure(ctx, p.space, p.key.Namespace, podReferences(p.virtual)); err != nil {
		return err
	}
	if err := namesake(s.host.SubResource("ephemeralcontainers").Patch(ctx, p.host, patchFrom(before))); err != nil {
		return fmt.Errorf("adding ephemeral containers to host Pod %s: %w", client.ObjectKeyFromObject(before), err)
	}
	return nil
}

// reportLost gives a Pod that something still holds (a Job counts it) an end, as the Pod garbage
// collector of Kubernetes does when a node is lost. Most Pods just go.
func (s *pods) reportLost(ctx context.Context, virtual *corev1.Pod) error {
	if finished(virtual) || len(virtual.Finalizers) == 0 {
		return nil
	}
	// The cache may not have the end yet that was just reported.
	live, err := find[corev1.Pod](ctx, s.virtualLive, client.ObjectKeyFromObject(virtual))
	if err != nil || live == nil || live.UID != virtual.UID || finished(live) {
		return err
	}
	before := live.DeepCopy()
	lose(live, now())
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, live, before))
}

// refused says whether an error is the host's answer to what the user asked (a quota, a policy,
// an invalid field, a webhook of the host's that does not work), not a failure on the way that ends by itself.
func refused(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return false
	}
	switch code := answer.Status().Code; code {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusGone, http.StatusTooManyRequests:
		return false
	default:
		return code >= http.StatusBadRequest && code <= http.StatusInternalServerError
	}
}

// reportRefusal tells the user, on the virtual Pod, why the host does not run it.
func (s *pods) reportRefusal(ctx context.Context, virtual *corev1.Pod, why error) error {
	reason := "HostRefused"
	if known := apierrors.ReasonForError(why); known != metav1.StatusReasonUnknown {
		reason = string(known)
	}
	before := virtual.DeepCopy()
	if !refuse(virtual, reason, message(why), now()) {
		return nil
	}
	s.events.Eventf(virtual, nil, corev1.EventTypeWarning, "HostRefused", "Create", "%s", message(why))
	return client.IgnoreNotFound(patchStatus(ctx, s.virtual, virtual, before))
}

// message is the innermost words of an API server's answer.
func message(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	return err.Error()
}
