// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"helm.sh/helm/v4/pkg/release/common"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/testenv"
)

// platformChart has a CRD, an object of its kind, a ClusterRole and a Deployment.
func platformChart(kind, column string) fstest.MapFS {
	plural := strings.ToLower(kind) + "s"
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"Chart.yaml":  file("apiVersion: v2\nname: platform\nversion: 0.1.0\n"),
		"values.yaml": file("replicas: 0\n"),
		"crds/crd.yaml": file(fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[1]s.test.skerry.dev}
spec:
  group: test.skerry.dev
  scope: Namespaced
  names: {kind: %[2]s, plural: %[1]s, singular: %[3]s, listKind: %[2]sList}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: %[4]s, type: string, jsonPath: .metadata.name}]
    schema: {openAPIV3Schema: {type: object}}
`, plural, kind, strings.ToLower(kind), column)),
		"templates/object.yaml": file("apiVersion: test.skerry.dev/v1\nkind: " + kind + "\nmetadata: {name: one}\n"),
		"templates/role.yaml":   file("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: {{ .Release.Namespace }}-role}\nrules: []\n"),
		"templates/map.yaml":    file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\ndata: {replicas: {{ .Values.replicas | quote }}}\n"),
		"templates/workload.yaml": file(`apiVersion: apps/v1
kind: Deployment
metadata: {name: operator}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app.kubernetes.io/instance: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app.kubernetes.io/instance: {{ .Release.Name }}}}
    spec: {containers: [{name: operator, image: x}]}
`),
	}
}

// The platform's chart is installed with its CRDs, updated with them, taken over after a kill,
// and removed with everything.
func TestInstallChart(t *testing.T) {
	env := testenv.Start(t)
	ns := "install-" + env.Namespace(t)
	var told []string
	options := InstallOptions{
		RESTConfig: env.Config, Chart: platformChart("Widget", "first"), Release: "skerry", Namespace: ns,
		Values: map[string]any{"replicas": 0}, Timeout: testenv.Patience,
		Progress: func(text string) { told = append(told, text) },
	}
	install := func() {
		t.Helper()
		if err := InstallChart(t.Context(), options); err != nil {
			t.Fatal(err)
		}
	}
	install()
	install()
	if want := "installing chart platform 0.1.0"; !slices.Contains(told, want) || !slices.Contains(told, "upgrading to chart platform 0.1.0") {
		t.Errorf("progress: %q", told)
	}

	options.Chart = platformChart("Widget", "second")
	options.Values = map[string]any{"replicas": 1}
	install()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: "widgets.test.skerry.dev"}, crd); err != nil {
		t.Fatal(err)
	}
	if name := crd.Spec.Versions[0].AdditionalPrinterColumns[0].Name; name != "second" {
		t.Errorf("the CRD was not updated: its column is %q", name)
	}

	w := &world{Env: env, t: t, ns: ns}
	w.setState("skerry", common.StatusPendingUpgrade)
	install()
	if !slices.Contains(told, "taking over an installation that was interrupted") {
		t.Errorf("progress: %q", told)
	}

	// Nothing makes the Deployment ready here.
	options.Wait, options.Timeout = true, time.Second
	err := InstallChart(t.Context(), options)
	if err == nil || !strings.Contains(err.Error(), "is not ready after 1s: Deployment operator") {
		t.Errorf("waiting in vain says: %v", err)
	}

	uninstall := UninstallOptions{RESTConfig: env.Config, Release: "skerry", Namespace: ns, CRDsOf: options.Chart, DeleteNamespace: true, Timeout: time.Second}
	held := &unstructured.Unstructured{}
	held.SetAPIVersion("test.skerry.dev/v1")
	held.SetKind("Widget")
	held.SetNamespace("default")
	held.SetName("held")
	held.SetFinalizers([]string{"example.org/hold"})
	if err := env.Client.Create(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	if err := UninstallChart(t.Context(), uninstall); err == nil || !strings.Contains(err.Error(), "CustomResourceDefinition widgets.test.skerry.dev is not gone") {
		t.Errorf("uninstalling a kind of which an object is held says: %v", err)
	}
	unheld := held.DeepCopy()
	unheld.SetFinalizers(nil)
	if err := env.Client.Patch(t.Context(), unheld, client.MergeFrom(held)); err != nil {
		t.Fatal(err)
	}
	uninstall.Timeout = testenv.Patience
	for range 2 {
		if err := UninstallChart(t.Context(), uninstall); err != nil {
			t.Fatal(err)
		}
	}
	// At once: one that is still ending would take the next installation's with it.
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(crd), crd); !apierrors.IsNotFound(err) {
		t.Errorf("the CRD after uninstalling: %v; want it gone", err)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: ns}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		t.Errorf("the namespace after uninstalling: %v; want it gone", err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKey{Namespace: ns, Name: "made"}, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("ConfigMap made: %v", err)
		}
		return nil
	})
}
