// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package template_test

import (
	"bytes"
	"context"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/skerry-platform/skerry/internal/controlplane/etcd"
	"github.com/skerry-platform/skerry/internal/controlplane/template"
)

const key = "namespaces/default"

func captured() *corev1.Namespace {
	old := metav1.Unix(1_000_000_000, 0)
	return &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "default", UID: "captured", CreationTimestamp: old, Labels: map[string]string{"kubernetes.io/metadata.name": "default"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kube-apiserver", Time: &old}},
		},
		Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}
}

func codec() runtime.Serializer { return protobuf.NewSerializer(scheme.Scheme, scheme.Scheme) }

func newTemplate(t *testing.T, version string) *template.Template {
	t.Helper()
	var value bytes.Buffer
	if err := codec().Encode(captured(), &value); err != nil {
		t.Fatal(err)
	}
	made, err := template.New(version, map[string][]byte{key: value.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func newStore(t *testing.T) *clientv3.Client {
	t.Helper()
	server, err := etcd.Start(t.Context(), etcd.Config{Name: "test", DataDir: t.TempDir(), ListenClient: "http://127.0.0.1:0", UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func fill(t *testing.T, made *template.Template, kv clientv3.KV, prefix string, want template.Origin, reason string) {
	t.Helper()
	got, err := made.Source().Fill(t.Context(), kv, prefix)
	if err != nil {
		t.Fatalf("%s: %v", reason, err)
	}
	if got != want {
		t.Errorf("%s: origin %v, want %v", reason, got, want)
	}
}

func namespace(t *testing.T, kv clientv3.KV, prefix string) *corev1.Namespace {
	t.Helper()
	got, err := kv.Get(context.Background(), prefix+key)
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("reading %s%s: %v, %v", prefix, key, got, err)
	}
	obj := &corev1.Namespace{}
	if _, _, err := codec().Decode(got.Kvs[0].Value, nil, obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

// A tenant that has been served before starts without waiting for a template, which a pool
// member that was just started does not have yet.
func TestOnlyANewTenantWaits(t *testing.T) {
	store, made := newStore(t), newTemplate(t, "one")
	fill(t, made, store, "/skerry/known/", template.Fresh, "an empty prefix")
	if _, err := store.Put(t.Context(), "/skerry/older/pods/default/web", "a pod"); err != nil {
		t.Fatal(err)
	}
	asked := 0
	source := template.Source{Version: "one", Get: func(context.Context) (*template.Template, error) {
		asked++
		return nil, nil
	}}
	for prefix, want := range map[string]template.Origin{"/skerry/known/": template.Complete, "/skerry/older/": template.Foreign} {
		if got, err := source.Fill(t.Context(), store, prefix); err != nil || got != want {
			t.Errorf("%s: origin %v, %v; want %v", prefix, got, err, want)
		}
	}
	if asked != 0 {
		t.Errorf("the template was asked for %d times", asked)
	}
	if got, err := source.Fill(t.Context(), store, "/skerry/new/"); err != nil || got != template.Foreign || asked != 1 {
		t.Errorf("a new tenant without a template: origin %v, %v, asked %d times", got, err, asked)
	}
}

func TestFillsOnlyAnEmptyPrefix(t *testing.T) {
	store, made := newStore(t), newTemplate(t, "one")
	fill(t, made, store, "/skerry/new/", template.Fresh, "an empty prefix")
	first := namespace(t, store, "/skerry/new/")
	fill(t, made, store, "/skerry/new/", template.Complete, "the second start")
	if second := namespace(t, store, "/skerry/new/"); second.UID != first.UID {
		t.Errorf("the second start replaced %s by %s", first.UID, second.UID)
	}
	fill(t, newTemplate(t, "two"), store, "/skerry/new/", template.Foreign, "a start after an upgrade")

	if _, err := store.Put(t.Context(), "/skerry/older/pods/default/web", "a pod"); err != nil {
		t.Fatal(err)
	}
	fill(t, made, store, "/skerry/older/", template.Foreign, "a prefix in use")
	fill(t, made, store, "/skerry/old", template.Fresh, "a prefix that another one begins with")
	if err := made.Source().Mark(t.Context(), store, "/skerry/older/"); err != nil {
		t.Fatal(err)
	}
	fill(t, made, store, "/skerry/older/", template.Complete, "a prefix that an API server completed")
}

func TestEachTenantHasObjectsOfItsOwn(t *testing.T) {
	store, made := newStore(t), newTemplate(t, "one")
	fill(t, made, store, "/skerry/a/", template.Fresh, "the first tenant")
	fill(t, made, store, "/skerry/b/", template.Fresh, "the second tenant")
	a, b, from := namespace(t, store, "/skerry/a/"), namespace(t, store, "/skerry/b/"), captured()
	if a.UID == b.UID || a.UID == from.UID || len(a.UID) != 36 {
		t.Errorf("UIDs %q and %q, captured %q", a.UID, b.UID, from.UID)
	}
	if !a.CreationTimestamp.After(from.CreationTimestamp.Time) || !a.ManagedFields[0].Time.After(from.CreationTimestamp.Time) {
		t.Errorf("created %s, managed since %s: that is when it was captured", a.CreationTimestamp, a.ManagedFields[0].Time)
	}
	if a.Labels["kubernetes.io/metadata.name"] != "default" || a.Status.Phase != corev1.NamespaceActive {
		t.Errorf("labels %v, status %v: they were lost", a.Labels, a.Status)
	}
}

func TestRefusesWhatIsATenantsOwn(t *testing.T) {
	for _, k := range []string{"services/specs/default/kubernetes", "secrets/default/token", "serviceaccounts/default/default", "namespaces"} {
		if _, err := template.New("one", map[string][]byte{k: []byte("k8s\x00")}); err == nil {
			t.Errorf("%s was accepted", k)
		}
	}
	if _, err := template.New("one", map[string][]byte{key: []byte("k8s\x00?")}); err == nil {
		t.Error("a value that cannot be decoded was accepted")
	}
}
