// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/testenv"
)

// A person looks at what would be installed, without a cluster and with one; nothing is changed, and nothing
// secret is shown.
func TestRenderChart(t *testing.T) {
	chart := platformChart("Gadget", "first")
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	chart["templates/secret.yaml"] = file("apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {key: not-for-a-screen}\n")
	chart["templates/hook.yaml"] = file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, annotations: {helm.sh/hook: post-install}}\n")
	chart["templates/seen.yaml"] = file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: seen}\ndata: {upgrade: {{ .Release.IsUpgrade | quote }}, " +
		"default: {{ dig \"metadata\" \"name\" \"not seen\" (lookup \"v1\" \"Namespace\" \"\" \"default\") | quote }}}\n")
	options := RenderOptions{Chart: chart, Release: "skerry", Namespace: "render", Values: map[string]any{"replicas": 3}}
	render := func() string {
		t.Helper()
		text, err := RenderChart(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "not-for-a-screen") {
			t.Errorf("a Secret's content is shown:\n%s", text)
		}
		return text
	}
	expect := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("there is no %q in:\n%s", want, text)
			}
		}
	}
	alone := render()
	expect(alone, "# Source: platform/templates/workload.yaml", "replicas: 3", "name: hook", `default: "not seen"`)
	if strings.Contains(alone, "CustomResourceDefinition") {
		t.Error("CRDs that nobody asked for")
	}
	options.IncludeCRDs = true
	expect(render(), "CustomResourceDefinition", "replicas: 3")

	env := testenv.Start(t)
	options.RESTConfig, options.Namespace, options.IncludeCRDs = env.Config, "render-"+env.Namespace(t), false
	delete(chart, "templates/object.yaml") // its kind is not served yet
	expect(render(), `default: "default"`, `upgrade: "false"`)
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: options.Namespace}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		t.Errorf("a dry run made the namespace: %v", err)
	}
	if values, err := ReleaseValues(env.Config, "skerry", options.Namespace); values != nil || err != nil {
		t.Errorf("values of no release: %v, %v", values, err)
	}

	if err := InstallChart(t.Context(), InstallOptions{RESTConfig: env.Config, Chart: chart, Release: "skerry", Namespace: options.Namespace, Values: map[string]any{"replicas": 0}}); err != nil {
		t.Fatal(err)
	}
	expect(render(), `upgrade: "true"`, "replicas: 3")
	if values, err := ReleaseValues(env.Config, "skerry", options.Namespace); err != nil || values["replicas"] != float64(0) {
		t.Errorf("values of the release: %v, %v", values, err)
	}
	if err := UninstallChart(t.Context(), UninstallOptions{RESTConfig: env.Config, Release: "skerry", Namespace: options.Namespace, CRDsOf: chart, DeleteNamespace: true}); err != nil {
		t.Fatal(err)
	}
}
