// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// eventKinds are the kinds whose host events people see in the virtual cluster.
var eventKinds = map[string]bool{"Pod": true, "PersistentVolumeClaim": true, "Service": true, "Ingress": true, "Release": true}

// eventTarget is the virtual object that a host event is about.
type eventTarget struct {
	apiVersion string
	namespace  string // empty for a cluster-scoped Release
	uid        types.UID
}

// virtualEvent is a host event as it appears in the virtual cluster: same name, about
// the virtual object, in its namespace (default, where Kubernetes keeps the events of
// cluster-scoped objects).
func (t translator) virtualEvent(namespace string, host *corev1.Event, target eventTarget) *corev1.Event {
	event := host.DeepCopy()
	event.ObjectMeta = metav1.ObjectMeta{
		Name:      host.Name,
		Namespace: target.namespace,
		Labels:    map[string]string{platformv1alpha1.LabelOwner: platformv1alpha1.OwnerHost},
	}
	if event.Namespace == "" {
		event.Namespace = metav1.NamespaceDefault
	}
	event.InvolvedObject.Namespace = target.namespace
	event.InvolvedObject.UID = target.uid
	event.InvolvedObject.ResourceVersion = ""
	if target.apiVersion != "" {
		event.InvolvedObject.APIVersion = target.apiVersion
	}
	event.Related = nil
	event.Message = strings.ReplaceAll(host.Message, t.hostNamespace(namespace), namespace)
	return event
}

// lastSeen is when an event last happened, whichever API wrote it.
func lastSeen(event *corev1.Event) metav1.Time {
	last := event.LastTimestamp
	if event.Series != nil && event.Series.LastObservedTime.After(last.Time) {
		last = metav1.NewTime(event.Series.LastObservedTime.Time)
	}
	if last.IsZero() {
		last = metav1.NewTime(event.EventTime.Time)
	}
	if last.IsZero() {
		last = event.CreationTimestamp
	}
	return last
}
