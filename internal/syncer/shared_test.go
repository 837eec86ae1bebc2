// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

func sharedAppear(t *testing.T, w *world) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}}
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "example.com/disk", Parameters: map[string]string{"secret": "x"}}
	definition := untyped(definitionKinds[0])
	definition.SetNamespace(platformv1alpha1.DefinitionNamespace)
	definition.SetName("webservice")
	definition.Object["spec"] = map[string]any{"workload": map[string]any{"type": "deployments.apps"}}
	create(t, w.host.Client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: platformv1alpha1.DefinitionNamespace}})
	for _, obj := range []client.Object{node, class, definition} {
		create(t, w.host.Client, obj)
	}
	setStatus(t, w.host.Client, node, func() {
		node.Status.Images = []corev1.ContainerImage{{Names: []string{"of-another-tenant"}}}
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now()}}
	})
	virtual := await(t, w.virtual.Client, "", "node-a", func(n *corev1.Node) error {
		return want(len(n.Status.Conditions) == 1 && len(n.Spec.Taints) == len(node.Spec.Taints), "the node has %v and taints %v", n.Status.Conditions, n.Spec.Taints)
	})
	if len(virtual.Status.Images) > 0 {
		t.Errorf("a tenant sees images %v", virtual.Status.Images)
	}
	seen := await[storagev1.StorageClass](t, w.virtual.Client, "", "fast", nil)
	if seen.Provisioner != class.Provisioner || len(seen.Parameters) > 0 {
		t.Errorf("the storage class is %+v", seen)
	}
	await[corev1.Namespace](t, w.virtual.Client, "", platformv1alpha1.DefinitionNamespace, nil)
	awaitRelease(t, w.virtual.Client, definitionKinds[0], platformv1alpha1.DefinitionNamespace, "webservice", nil)

	virtual = await[corev1.Node](t, w.virtual.Client, "", "node-a", nil)
	setStatus(t, w.host.Client, node, func() { node.Status.Conditions[0].LastHeartbeatTime = metav1.NewTime(time.Now().Add(time.Minute)) })
	// Nodes have one worker and one watch: when what came after the heartbeat is there, the heartbeat was looked at.
	later := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-b"}}
	create(t, w.host.Client, later)
	await[corev1.Node](t, w.virtual.Client, "", "node-b", nil)
	if now := await[corev1.Node](t, w.virtual.Client, "", "node-a", nil); now.ResourceVersion != virtual.ResourceVersion {
		t.Error("a heartbeat was written")
	}
	for _, obj := range []client.Object{node, later, class, definition} {
		if err := w.host.Client.Delete(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	gone(t, w.virtual.Client, &corev1.Node{}, "", "node-a")
	gone(t, w.virtual.Client, untyped(definitionKinds[0]), platformv1alpha1.DefinitionNamespace, "webservice")
}
