// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provisioner serves the StorageClass local-path of the local platform: one
// folder of the machine per claim. It is what PersistentVolumeClaims of station 8 of
// docs/flow.md are bound to on the local host cluster.
//
// Volumes are of type "local" and not "hostPath", so that the kubelet applies a Pod's
// fsGroup to them. They have no size limit: the capacity is what was asked for.
package provisioner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// Name is the provisioner that a StorageClass names.
const Name = "platform.skerry.dev/local-path"

// Run serves claims until the context ends. volumes is the folder that holds one
// folder per volume.
func Run(ctx context.Context, config *rest.Config, volumes string) error {
	if volumes == "" {
		return fmt.Errorf("the folder of the volumes is not given (--volumes)")
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	c := controller.NewProvisionController(ctx, client, Name, folders{root: volumes},
		controller.LeaderElection(false),
		controller.AddFinalizer(true),
		controller.ExponentialBackOffOnError(true),
	)
	c.Run(ctx)
	return nil
}

// folders provisions volumes as folders below root.
type folders struct{ root string }

// Provision makes the folder and describes it as a volume of the node that the
// scheduler chose.
func (f folders) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if o.SelectedNodeName == "" {
		return nil, controller.ProvisioningFinished, fmt.Errorf("StorageClass %s must have volumeBindingMode WaitForFirstConsumer: a local volume needs to know its node", o.StorageClass.Name)
	}
	if mode := o.PVC.Spec.VolumeMode; mode != nil && *mode == corev1.PersistentVolumeBlock {
		return nil, controller.ProvisioningFinished, fmt.Errorf("StorageClass %s has folders only: volumeMode Block of claim %s/%s cannot be served", o.StorageClass.Name, o.PVC.Namespace, o.PVC.Name)
	}
	path, err := f.path(o.PVName)
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	if err := makeFolder(path); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return volume(o, path), controller.ProvisioningFinished, nil
}

// Delete removes the volume's folder with all that is in it.
func (f folders) Delete(_ context.Context, pv *corev1.PersistentVolume) error {
	path, err := f.path(pv.Name)
	if err != nil {
		return err
	}
	if pv.Spec.Local == nil || pv.Spec.Local.Path != path {
		return &controller.IgnoredError{Reason: fmt.Sprintf("volume %s is not at %s, where this provisioner would have put it", pv.Name, path)}
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("removing the folder of volume %s: %w", pv.Name, err)
	}
	return nil
}

// path is the folder of a volume. A name that would lead out of the root is refused,
// though the API server lets none through.
func (f folders) path(volume string) (string, error) {
	if !filepath.IsLocal(volume) || filepath.Base(volume) != volume {
		return "", fmt.Errorf("volume name %q is not a file name", volume)
	}
	return filepath.Join(f.root, volume), nil
}

// makeFolder makes a folder that any user of a Pod may write to. Other users of the
// machine cannot get there: the state folder above is for root only.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return fmt.Errorf("making the volume's folder: %w", err)
	}
	// MkdirAll's mode is subject to the umask.
	if err := os.Chmod(path, 0o777); err != nil {
		return fmt.Errorf("opening the volume's folder: %w", err)
	}
	return nil
}

// volume describes a provisioned folder.
func volume(o controller.ProvisionOptions, path string) *corev1.PersistentVolume {
	reclaim := corev1.PersistentVolumeReclaimDelete
	if o.StorageClass.ReclaimPolicy != nil {
		reclaim = *o.StorageClass.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: reclaim,
			AccessModes:                   o.PVC.Spec.AccessModes,
			MountOptions:                  o.StorageClass.MountOptions,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity:           onNode(o.SelectedNodeName),
		},
	}
}

func onNode(name string) *corev1.VolumeNodeAffinity {
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{name},
			}},
		}},
	}}
}
