// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMirrorPodIsAccepted(t *testing.T) {
	host := simplePod("east--shop", "db-0")
	host.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Name: "db"}}
	host.Spec.ServiceAccountName = "db"
	host.Spec.Volumes = []corev1.Volume{apiAccess(), {Name: "data"}}
	host.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "kube-api-access-x"}, {Name: "data"}}

	virtual := mirrorPod(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "5678"}}, host)

	if virtual.Namespace != "shop" || metav1.GetControllerOf(virtual) == nil || metav1.GetControllerOf(virtual).UID != "5678" || virtual.Spec.ServiceAccountName != "default" {
		t.Errorf("the mirror is %+v", virtual)
	}
	if len(virtual.Spec.Volumes) != 1 || len(virtual.Spec.Containers[0].VolumeMounts) != 1 {
		t.Errorf("volumes %v, mounts %v; want only data", virtual.Spec.Volumes, virtual.Spec.Containers[0].VolumeMounts)
	}
}
