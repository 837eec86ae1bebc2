// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/internal/controlplane"
	"github.com/skerry-platform/skerry/internal/controlplane/template"
)

// capture is the template that the tests share.
var capture = sync.OnceValues(func() (*template.Template, error) {
	dir, err := os.MkdirTemp("", "skerry-template-")
	if err != nil {
		return nil, err
	}
	return controlplane.CaptureTemplate(context.Background(), filepath.Join(dir, "t"))
})

func templatedConfig(t testing.TB, name string) controlplane.Config {
	t.Helper()
	captured, err := capture()
	if err != nil {
		t.Fatal(err)
	}
	cfg := tenantConfig(t, name, nil)
	cfg.Template = captured.Source()
	return cfg
}

// bornEqual lists what a template holds.
var bornEqual = []string{
	"/api/v1/namespaces",
	"/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
	"/apis/apiregistration.k8s.io/v1/apiservices",
	"/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
	"/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
	"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
	"/apis/rbac.authorization.k8s.io/v1/clusterroles",
	"/apis/rbac.authorization.k8s.io/v1/rolebindings",
	"/apis/rbac.authorization.k8s.io/v1/roles",
	"/apis/scheduling.k8s.io/v1/priorityclasses",
}

// A tenant that was born from the template has the same objects as one whose API server made
// them all, each with an identity of its own.
func TestBornFromTemplateEqualsBornWithout(t *testing.T) {
	cfg := tenantConfig(t, "plain", nil)
	cfg.KubernetesServiceIP = nil // its endpoint would make us the creator of Namespace default
	plain := startTenant(t, cfg)
	templated := startTenant(t, templatedConfig(t, "templated"))
	eventually(t, func() error { return sameObjects(t, plain, templated) }) // controllers still add to the plain one
}

// A control plane that was killed at its first start, when part of the bootstrap objects were
// there, is completed by the next one.
func TestHalfBornHeals(t *testing.T) {
	cfg := templatedConfig(t, "half-born")
	cfg.KubernetesServiceIP = nil // as above
	admin, err := clientv3.New(clientv3.Config{Endpoints: cfg.EtcdEndpoints})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if origin, err := cfg.Template.Fill(t.Context(), admin, cfg.EtcdPrefix); err != nil || origin != template.Fresh {
		t.Fatalf("filling an empty prefix: %v, %v", origin, err)
	}
	stored, err := admin.Get(t.Context(), cfg.EtcdPrefix+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	for i, kv := range stored.Kvs {
		if i%2 == 0 || string(kv.Key) == cfg.EtcdPrefix+"/platform.skerry.dev/template" {
			if _, err := admin.Delete(t.Context(), string(kv.Key)); err != nil {
				t.Fatal(err)
			}
		}
	}
	healed := startTenant(t, cfg)
	templated := startTenant(t, templatedConfig(t, "whole"))
	eventually(t, func() error { return sameObjects(t, templated, healed) })
}

// What an API server repairs at each of its starts is repaired here too, although the
// tenant serves before that.
func TestRestartRepairsBootstrapObjects(t *testing.T) {
	cfg := templatedConfig(t, "repaired")
	first := mustStart(t, cfg)
	c := newClient(t, first.RESTConfig())
	node := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "system:node"}}
	administrators := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "skerry:administrators"}}
	for _, o := range []client.Object{node, administrators} {
		if err := c.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	stopTenant(t, first)

	c = newClient(t, startTenant(t, cfg).RESTConfig())
	for _, o := range []client.Object{node, administrators} {
		eventually(t, func() error { return c.Get(t.Context(), client.ObjectKeyFromObject(o), o) })
	}
}

func sameObjects(t testing.TB, one, other *controlplane.ControlPlane) error {
	t.Helper()
	for _, path := range bornEqual {
		want, uids := list(t, one, path)
		got, others := list(t, other, path)
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("%s (-%s +%s):\n%s", path, "one", "other", diff)
		}
		if len(want) == 0 {
			return fmt.Errorf("%s: there is none", path)
		}
		for uid := range uids {
			if others[uid] {
				t.Fatalf("%s: both tenants have an object with UID %s", path, uid)
			}
		}
	}
	return nil
}

// list gives the objects by name, without what must differ between two clusters, and their UIDs.
func list(t testing.TB, cp *controlplane.ControlPlane, path string) (objects map[string]any, uids map[string]bool) {
	t.Helper()
	data, err := kubernetes.NewForConfigOrDie(cp.RESTConfig()).RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listed := &unstructured.UnstructuredList{}
	if err := json.Unmarshal(data, listed); err != nil {
		t.Fatal(err)
	}
	objects, uids = map[string]any{}, map[string]bool{}
	for _, o := range listed.Items {
		uids[string(o.GetUID())] = true
		if created := o.GetCreationTimestamp(); time.Since(created.Time) > 10*time.Minute || o.GetResourceVersion() == "" {
			t.Fatalf("%s %s was created at %s, version %q", path, o.GetName(), created, o.GetResourceVersion())
		}
		objects[o.GetNamespace()+"/"+o.GetName()] = withoutIdentity(o.Object)
	}
	return objects, uids
}

// withoutIdentity drops UIDs, versions and times at any depth, and orders managers by name.
func withoutIdentity(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, field := range v {
			switch key {
			case "uid", "creationTimestamp", "resourceVersion", "time", "lastTransitionTime":
			case "managedFields":
				out[key] = managers(field)
			default:
				out[key] = withoutIdentity(field)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutIdentity(v[i])
		}
		return out
	}
	return value
}

// managers gives the managed fields by manager and operation: their order in the list is that
// of their times.
func managers(fields any) map[string]any {
	out := map[string]any{}
	for _, f := range fields.([]any) {
		entry := f.(map[string]any)
		out[fmt.Sprint(entry["manager"], " ", entry["operation"], " ", entry["subresource"])] = withoutIdentity(entry)
	}
	return out
}
