// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// The OpenAPI documents of the built-in kinds are shared between tenants, those of CRDs are
// not: both are what kubectl explain and kubectl's validation read.
func TestOpenAPIDescribesBuiltInKindsAndCRDs(t *testing.T) {
	startTenant(t, templatedConfig(t, "documented-first"))
	c := kubernetes.NewForConfigOrDie(startTenant(t, templatedConfig(t, "documented")).RESTConfig()).RESTClient()

	deployments := document(t, c, "/openapi/v3/apis/apps/v1")
	for _, want := range []string{`"io.k8s.api.apps.v1.DeploymentSpec"`, `"fieldValidation"`, `"Number of desired pods.`, `"x-kubernetes-group-version-kind"`} {
		if !strings.Contains(deployments, want) {
			t.Errorf("OpenAPI 3 of apps/v1 does not say %s", want)
		}
	}
	v2 := document(t, c, "/openapi/v2")
	if !strings.Contains(v2, `"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"`) {
		t.Error("OpenAPI 2 has no path of Deployments")
	}
	eventually(t, func() error { // a tenant's CRDs are described a moment after they are served, one after the other
		applications, err := c.Get().AbsPath("/openapi/v3/apis/core.oam.dev/v1beta1").SetHeader("Accept", "application/json").DoRaw(t.Context())
		if err == nil && !strings.Contains(string(applications), `"dev.oam.core.v1beta1.Application"`) {
			err = errors.New("OpenAPI 3 does not describe the CRD of Applications")
		}
		return err
	})
}

func document(t *testing.T, c rest.Interface, path string) string {
	t.Helper()
	data, err := c.Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(t.Context())
	if err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
	return string(data)
}

// Server-side apply merges lists by their keys only when it knows the kind's schema.
func TestApplyMergesByTheKindsSchema(t *testing.T) {
	startTenant(t, templatedConfig(t, "merged-first"))
	c := kubernetes.NewForConfigOrDie(startTenant(t, templatedConfig(t, "merged")).RESTConfig()).RESTClient()
	apply := func(path, manager string, object map[string]any) []byte {
		t.Helper()
		body, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Patch(types.ApplyPatchType).AbsPath(path).SetHeader("Accept", "application/json").Param("fieldManager", manager).Body(body).DoRaw(t.Context())
		if err != nil {
			t.Fatalf("%s applies %s: %v", manager, path, err)
		}
		return got
	}
	const service = "/api/v1/namespaces/default/services/web"
	port := func(name string, number int) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "web"},
			"spec": map[string]any{"ports": []any{map[string]any{"name": name, "port": number, "protocol": "TCP"}}}}
	}
	apply(service, "one", port("http", 80))
	var merged struct {
		Spec struct{ Ports []struct{ Name string } }
	}
	if err := json.Unmarshal(apply(service, "other", port("https", 443)), &merged); err != nil || len(merged.Spec.Ports) != 2 {
		t.Errorf("ports of two managers: %v, %v; want both", merged.Spec.Ports, err)
	}

	const application = "/apis/core.oam.dev/v1beta1/namespaces/default/applications/web"
	wrong := map[string]any{"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": map[string]any{"name": "web"},
		"spec": map[string]any{"components": "none"}}
	body, _ := json.Marshal(wrong)
	err := c.Patch(types.ApplyPatchType).AbsPath(application).Param("fieldManager", "one").Body(body).Do(t.Context()).Error()
	if err == nil || !strings.Contains(err.Error(), "components") {
		t.Errorf("an Application that is not of its schema: %v, want a refusal that names the field", err)
	}
}
