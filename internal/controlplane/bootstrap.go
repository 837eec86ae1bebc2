// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"encoding/json"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	applyrbac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/yaml"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// Who may do everything in a virtual cluster.
const (
	// AdminGroup is the organization in the administrator's client certificate.
	AdminGroup = "skerry:admins"
	// SyncerUser is the syncer. It lives in the same process as the API server, so
	// a smaller role would protect nothing.
	SyncerUser = "skerry:syncer"

	fieldManager = "skerry-control-plane"
)

// bootstrap applies what every virtual cluster has beside Kubernetes' own objects,
// and returns when the CRDs are served.
func bootstrap(ctx context.Context, config *rest.Config, crds [][]byte) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if err := applyAdministrators(ctx, client); err != nil {
		return err
	}
	// CRDs have no protobuf form.
	jsonConfig := rest.CopyConfig(config)
	jsonConfig.ContentType = runtime.ContentTypeJSON
	crdClient, err := apiextensions.NewForConfig(jsonConfig)
	if err != nil {
		return fmt.Errorf("making a client for CRDs: %w", err)
	}
	return applyCRDs(ctx, crdClient.CustomResourceDefinitions(), crds)
}

func applyAdministrators(ctx context.Context, client kubernetes.Interface) error {
	binding := applyrbac.ClusterRoleBinding("skerry:administrators").
		WithRoleRef(applyrbac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName("cluster-admin")).
		WithSubjects(
			applyrbac.Subject().WithAPIGroup(rbacv1.GroupName).WithKind(rbacv1.GroupKind).WithName(AdminGroup),
			applyrbac.Subject().WithAPIGroup(rbacv1.GroupName).WithKind(rbacv1.UserKind).WithName(SyncerUser))
	_, err := client.RbacV1().ClusterRoleBindings().Apply(ctx, binding, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("applying ClusterRoleBinding skerry:administrators: %w", err)
	}
	return nil
}

func applyCRDs(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, crds [][]byte) error {
	waiting := map[string]bool{}
	for _, doc := range crds {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(doc, &crd); err != nil {
			return fmt.Errorf("parsing an embedded CRD: %w", err)
		}
		patch, err := yaml.YAMLToJSON(doc)
		if err != nil {
			return fmt.Errorf("parsing CRD %s: %w", crd.Name, err)
		}
		applied, err := client.Patch(ctx, crd.Name, types.ApplyPatchType, patch, metav1.PatchOptions{FieldManager: fieldManager, Force: new(true)})
		if err != nil {
			return fmt.Errorf("applying CRD %s: %w", crd.Name, err)
		}
		if !established(applied) {
			waiting[crd.Name] = true
		}
	}
	return waitEstablished(ctx, client, waiting)
}

func waitEstablished(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, waiting map[string]bool) error {
	if len(waiting) == 0 {
		return nil
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = fields.Everything().String()
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, o)
		},
	}
	_, err := watchtools.UntilWithSync(ctx, lw, &apiextensionsv1.CustomResourceDefinition{}, nil, func(e watch.Event) (bool, error) {
		crd, ok := e.Object.(*apiextensionsv1.CustomResourceDefinition)
		if ok && established(crd) {
			delete(waiting, crd.Name)
		}
		return len(waiting) == 0, nil
	})
	if err != nil {
		names, _ := json.Marshal(waiting)
		return fmt.Errorf("waiting for CRDs %s to be served: %w", names, err)
	}
	return nil
}

func established(crd *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
			return true
		}
	}
	return false
}
