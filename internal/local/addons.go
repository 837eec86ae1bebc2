// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"text/template"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skerry-platform/skerry/internal/apply"
	"github.com/skerry-platform/skerry/internal/image"
	"github.com/skerry-platform/skerry/internal/local/provisioner"
)

//go:embed manifests/addons.yaml
var addonManifests embed.FS

// fieldOwner is the field manager of what Up applies.
const fieldOwner = "skerry-local"

// addonData is what manifests/addons.yaml is filled with.
type addonData struct {
	DNS                                                netip.Addr
	Nameservers                                        bool
	Image, Provisioner, ProvisionerUser, KubeletClient string
}

// addonObjects are the addons of an instance, in the order of the file.
func addonObjects(a Addresses, nameservers bool) ([]*unstructured.Unstructured, error) {
	t, err := template.ParseFS(addonManifests, "manifests/addons.yaml")
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = t.Execute(&text, addonData{
		DNS: a.DNS(), Nameservers: nameservers, Image: image.Skerry(),
		Provisioner: provisioner.Name, ProvisionerUser: userProvisioner, KubeletClient: userKubeletClient,
	})
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(&text, 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(o); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the addons: %w", err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}

// applyAddons brings the addons to the cluster by server-side apply.
func applyAddons(ctx context.Context, config *rest.Config, a Addresses) error {
	servers, err := machineNameservers()
	if err != nil {
		return err
	}
	objects, err := addonObjects(a, len(servers) > 0)
	if err != nil {
		return err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	_, err = apply.New(c, fieldOwner).Apply(ctx, objects...)
	return err
}

// AddonStatus says whether an addon does its work.
type AddonStatus struct {
	Name    string `json:"name"`
	Ready   bool   `json:"ready"`
	Message string `json:"message,omitempty"`
}

// addonStatuses asks the cluster for the addons.
func addonStatuses(ctx context.Context, clients kubernetes.Interface) []AddonStatus {
	dns := AddonStatus{Name: "dns"}
	d, err := clients.AppsV1().Deployments(metav1.NamespaceSystem).Get(ctx, "coredns", metav1.GetOptions{})
	if err == nil {
		dns.Ready, dns.Message = deploymentReady(d)
	} else {
		dns.Message = notThere(err)
	}
	storage := AddonStatus{Name: "storage", Ready: true}
	if _, err := clients.StorageV1().StorageClasses().Get(ctx, "local-path", metav1.GetOptions{}); err != nil {
		storage.Ready, storage.Message = false, notThere(err)
	}
	return []AddonStatus{dns, storage}
}

func notThere(err error) string {
	if apierrors.IsNotFound(err) {
		return "not installed; `skerry up` installs it"
	}
	return err.Error()
}

// deploymentReady says whether all replicas of the newest revision are available.
func deploymentReady(d *appsv1.Deployment) (ready bool, message string) {
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	s := d.Status
	if s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == wanted && s.AvailableReplicas >= wanted {
		return true, ""
	}
	for _, c := range s.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse {
			return false, c.Message
		}
	}
	return false, fmt.Sprintf("%d of %d replicas available", s.AvailableReplicas, wanted)
}
