// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	genericadmission "k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/client-go/kubernetes"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// helmReleaseAnnotation is what Helm writes on everything that a chart made.
const helmReleaseAnnotation = "meta.helm.sh/release-name"

// guard refuses changes of objects whose truth is on the host: they would be undone a
// moment later, which looks like a bug; a refusal says where to make the change.
type guard struct {
	*admission.Handler
	client kubernetes.Interface
}

var (
	_ admission.ValidationInterface               = &guard{}
	_ genericadmission.WantsExternalKubeClientSet = &guard{}
)

func newGuard() *guard {
	return &guard{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete)}
}

func (g *guard) SetExternalKubeClientSet(client kubernetes.Interface) { g.client = client }

func (g *guard) ValidateInitialization() error {
	if g.client == nil {
		return errors.New("missing a client")
	}
	return nil
}

// Validate refuses to change, delete or evict a host-owned object, and to make one.
func (g *guard) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if isOurs(a.GetUserInfo()) {
		return nil
	}
	owned := a.GetOldObject()
	if a.GetOperation() == admission.Create && a.GetSubresource() == "eviction" && a.GetResource().Resource == "pods" {
		// An eviction does not carry the pod; one that is not there is for the handler to say.
		if pod, err := g.client.CoreV1().Pods(a.GetNamespace()).Get(ctx, a.GetName(), metav1.GetOptions{}); err == nil {
			owned = pod
		}
	}
	if hostOwned(owned) {
		return admission.NewForbidden(a, errors.New("it is the copy of an object on the host cluster; "+wayOut(owned)))
	}
	if hostOwned(a.GetObject()) {
		return admission.NewForbidden(a, fmt.Errorf("only the platform may set the label %s=%s; leave it out", platformv1alpha1.LabelOwner, platformv1alpha1.OwnerHost))
	}
	return nil
}

// wayOut says what to change instead.
func wayOut(owned runtime.Object) string {
	accessor, err := meta.Accessor(owned)
	if err == nil && accessor.GetAnnotations()[helmReleaseAnnotation] != "" {
		return fmt.Sprintf("change the Release %q that made it instead", accessor.GetAnnotations()[helmReleaseAnnotation])
	}
	return "change the Release, or the OAM component, that made it instead"
}
