// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

func release(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: object}
}

const clusterRelease = `
apiVersion: helm.crossplane.io/v1beta1
kind: Release
metadata:
  name: db
  uid: "1234"
  annotations: {crossplane.io/paused: "true"}
spec:
  deletionPolicy: Orphan
  providerConfigRef: {name: mine}
  writeConnectionSecretToRef: {name: db-connection, namespace: shop}
  forProvider:
    namespace: shop
    chart: {name: postgresql, pullSecretRef: {name: charts, namespace: shop}}
    valuesFrom:
    - configMapKeyRef: {name: defaults, namespace: shop, key: values.yaml}
    set:
    - name: auth.password
      valueFrom: {secretKeyRef: {name: password, namespace: shop, key: password}}
    values:
      auth: {existingSecret: db-auth, username: admin}
      tls: {certificatesSecret: tls, secretName: other}
      primary: {existingConfigmap: tuning}
      imagePullSecrets: [{name: registry}]
`

func TestHostRelease(t *testing.T) {
	virtual := release(t, clusterRelease)
	host := testTranslator.hostRelease(virtual)

	if host.GetNamespace() != "east--shop" || host.GetAPIVersion() != "helm.m.crossplane.io/v1beta1" {
		t.Errorf("host Release is %s in %s", host.GetAPIVersion(), host.GetNamespace())
	}
	annotations := host.GetAnnotations()
	if annotations[platformv1alpha1.AnnotationVirtualScope] != "Cluster" || annotations[platformv1alpha1.AnnotationPaused] != "true" {
		t.Errorf("annotations are %v", annotations)
	}
	wanted := release(t, strings.NewReplacer(
		", namespace: shop", "", "namespace: shop", "namespace: east--shop", "  providerConfigRef: {name: mine}\n", "",
		"deletionPolicy: Orphan", "deletionPolicy: Orphan\n  managementPolicies: [Observe, Create, Update, LateInitialize]",
	).Replace(clusterRelease))
	if diff := cmp.Diff(wanted.Object["spec"], host.Object["spec"]); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestReleaseReferences(t *testing.T) {
	refs := releaseReferences(release(t, clusterRelease))
	if diff := cmp.Diff(sets.New("charts", "password", "db-auth", "tls", "other", "registry"), refs.secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(sets.New("defaults", "tuning"), refs.configMaps); diff != "" {
		t.Errorf("configMaps (-want +got):\n%s", diff)
	}
}

func TestCheckRelease(t *testing.T) {
	for _, c := range []struct{ name, release, says string }{
		{"cluster-scoped", clusterRelease, ""},
		{"no namespace", "metadata: {name: x}\nspec: {forProvider: {}}", "spec.forProvider.namespace is empty"},
		{"namespaced", "metadata: {name: x, namespace: shop}\nspec: {forProvider: {}}", ""},
		{"namespaced, its own", "metadata: {name: x, namespace: shop}\nspec: {forProvider: {namespace: shop}}", ""},
		{"namespaced, another", "metadata: {name: x, namespace: shop}\nspec: {forProvider: {namespace: bank}}", `installs only into its own namespace "shop"`},
		{"a Secret elsewhere", "metadata: {name: x, namespace: shop}\nspec: {forProvider: {valuesFrom: [{secretKeyRef: {name: a, namespace: bank}}]}}",
			`spec.forProvider.valuesFrom[0].secretKeyRef names "a" in namespace "bank"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := checkRelease(release(t, c.release))
			if (c.says == "") != (got == "") || !strings.Contains(got, c.says) {
				t.Errorf("got %q, want %q", got, c.says)
			}
		})
	}
}

func TestHolder(t *testing.T) {
	at := func(minute int, kind *unstructured.Unstructured) *unstructured.Unstructured {
		kind.SetCreationTimestamp(metav1.NewTime(time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)))
		return kind
	}
	host := func(scope string) *unstructured.Unstructured {
		h := untyped(namespacedReleaseKind)
		h.SetAnnotations(map[string]string{platformv1alpha1.AnnotationVirtualScope: scope})
		return h
	}
	cluster, namespaced := at(1, untyped(clusterReleaseKind)), at(2, untyped(namespacedReleaseKind))
	for _, c := range []struct {
		name                      string
		host, cluster, namespaced *unstructured.Unstructured
		want                      *unstructured.Unstructured
	}{
		{"only one", nil, nil, namespaced, namespaced},
		{"the older", nil, cluster, namespaced, cluster},
		{"the older, the other way", nil, at(3, untyped(clusterReleaseKind)), namespaced, namespaced},
		{"the one that is there", host(""), cluster, namespaced, namespaced},
		{"the one that is there, cluster-scoped", host("Cluster"), cluster, namespaced, cluster},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _ := holder(c.host, c.cluster, c.namespaced); got != c.want {
				t.Errorf("%v holds the name", got)
			}
		})
	}
}

func TestRefuseReleaseOnlyOnce(t *testing.T) {
	r := release(t, clusterRelease)
	if !refuseRelease(r, "because", now()) || refuseRelease(r, "because", now()) {
		t.Error("the first refusal is news, the second is not")
	}
	if status, message := synced(r); status != "False" || message != "because" {
		t.Errorf("Synced is %s: %s", status, message)
	}
	if !refuseRelease(r, "another", now()) {
		t.Error("another reason is news")
	}
}
