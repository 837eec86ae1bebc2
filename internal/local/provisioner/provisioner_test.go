// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func claimed(node string) controller.ProvisionOptions {
	return controller.ProvisionOptions{
		StorageClass: &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "local-path"}},
		PVName:       "pvc-1", SelectedNodeName: node,
		PVC: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data"},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("3Gi")}},
			},
		},
	}
}

func TestVolumeLivesAsLongAsItsClaim(t *testing.T) {
	f := folders{root: t.TempDir()}
	pv, _, err := f.Provision(t.Context(), claimed("skerry"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(f.root, "pvc-1"))
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Fatalf("the folder is for every user of a Pod: %v, %v", info, err)
	}
	if pv.Spec.Local == nil || pv.Spec.HostPath != nil {
		t.Error("the volume must be of type local: the kubelet applies no fsGroup to hostPath")
	}
	if node := pv.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0]; node != "skerry" {
		t.Errorf("the volume is on node %q", node)
	}
	if size := pv.Spec.Capacity[corev1.ResourceStorage]; size.String() != "3Gi" {
		t.Errorf("capacity is %s, want what was asked for", size.String())
	}
	if err := os.WriteFile(filepath.Join(pv.Spec.Local.Path, "x"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Delete(t.Context(), pv); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pv.Spec.Local.Path); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if err := f.Delete(t.Context(), pv); err != nil {
		t.Errorf("a second deletion finds it done: %v", err)
	}
}

func TestProvisionRefuses(t *testing.T) {
	block := corev1.PersistentVolumeBlock
	cases := map[string]func(*controller.ProvisionOptions){
		"NoNode":    func(o *controller.ProvisionOptions) { o.SelectedNodeName = "" },
		"Block":     func(o *controller.ProvisionOptions) { o.PVC.Spec.VolumeMode = &block },
		"Elsewhere": func(o *controller.ProvisionOptions) { o.PVName = "../../etc" },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			o := claimed("skerry")
			change(&o)
			if pv, state, err := (folders{root: t.TempDir()}).Provision(t.Context(), o); err == nil || state != controller.ProvisioningFinished {
				t.Errorf("got %v, %s, %v; want a final error", pv, state, err)
			}
		})
	}
}

func TestDeleteLeavesForeignFolders(t *testing.T) {
	foreign := t.TempDir()
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pvc-2"}}
	pv.Spec.Local = &corev1.LocalVolumeSource{Path: foreign}
	err := folders{root: t.TempDir()}.Delete(t.Context(), pv)
	var ignored *controller.IgnoredError
	if !errors.As(err, &ignored) {
		t.Errorf("got %v, want it ignored", err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("a folder that is not ours is gone: %v", err)
	}
}

func FuzzPath(f *testing.F) {
	f.Add("pvc-1")
	f.Add("../x")
	f.Add("/etc")
	f.Fuzz(func(t *testing.T, name string) {
		path, err := folders{root: "/volumes"}.path(name)
		if err == nil && filepath.Dir(path) != "/volumes" {
			t.Errorf("%q leads to %s", name, path)
		}
	})
}
