// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// FuzzHostPod checks, for any Pod, that nothing of the host is asked for in the virtual
// cluster's name, that the virtual Pod is not changed, and that a second look finds nothing to do.
func FuzzHostPod(f *testing.F) {
	seed := simplePod("shop", "web")
	seed.Spec.Volumes = []corev1.Volume{apiAccess()}
	seed.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "NS", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}}}
	encoded, err := json.Marshal(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded)
	f.Add([]byte(`{"spec":{"dnsPolicy":"ClusterFirst","dnsConfig":{"nameservers":["a","b","c","d"]},"affinity":{"podAffinity":{}},"initContainers":[{}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		virtual := &corev1.Pod{}
		if json.Unmarshal(data, virtual) != nil {
			t.Skip()
		}
		before := virtual.DeepCopy()
		host := testTranslator.hostPod(virtual)
		if diff := cmp.Diff(before, virtual); diff != "" {
			t.Fatalf("the virtual Pod was changed:\n%s", diff)
		}
		if len(tokenSources(host)) > 0 {
			t.Error("the host is asked for tokens")
		}
		if text, _ := json.Marshal(host.Spec); strings.Contains(string(text), `"fieldPath":"metadata.namespace"`) {
			t.Error("the host's namespace would be answered")
		}
		if host.Spec.DNSConfig != nil && host.Spec.DNSPolicy == corev1.DNSNone && virtual.Spec.DNSPolicy != corev1.DNSNone && len(host.Spec.DNSConfig.Nameservers) > maxNameservers {
			t.Error("more nameservers than the API allows")
		}
		settled := host.DeepCopy()
		testTranslator.mergePod(settled, virtual)
		if diff := cmp.Diff(host.ObjectMeta, settled.ObjectMeta); diff != "" {
			t.Errorf("a second look changes:\n%s", diff)
		}
	})
}

// FuzzMirrorPod checks that no mirror asks for tokens or mounts what is not there.
func FuzzMirrorPod(f *testing.F) {
	f.Add([]byte(`{"spec":{"volumes":[{"name":"a","projected":{"sources":[{"serviceAccountToken":{"path":"token"}}]}}],"containers":[{"volumeMounts":[{"name":"a"}]}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		host := &corev1.Pod{}
		if json.Unmarshal(data, host) != nil {
			t.Skip()
		}
		virtual := mirrorPod(&corev1.Namespace{}, host)
		if len(tokenSources(virtual)) > 0 || len(virtual.OwnerReferences) != 1 {
			t.Error("the mirror has tokens or owners of the host")
		}
		virtual.Status = virtualPodStatus(virtual, host)
		again := virtual.DeepCopy()
		mergeMirrorPod(again, host)
		again.Status = virtualPodStatus(again, host)
		if diff := cmp.Diff(virtual.Status, again.Status); diff != "" {
			t.Errorf("a second look changes:\n%s", diff)
		}
	})
}

// FuzzHostRelease checks, for anything that may stand in a Release, that no reference leaves the
// namespace and that what was written once is not written again.
func FuzzHostRelease(f *testing.F) {
	for _, seed := range []string{clusterRelease, "spec: {forProvider: {valuesFrom: [1, {secretKeyRef: x}], set: {}, values: [a]}}", "spec: 1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		object := map[string]any{}
		if yaml.Unmarshal(data, &object) != nil {
			t.Skip()
		}
		object["metadata"] = map[string]any{"name": "db", "uid": "1234"}
		encoded, err := json.Marshal(object)
		if err != nil {
			t.Skip()
		}
		virtual := &unstructured.Unstructured{}
		if virtual.UnmarshalJSON([]byte(`{"apiVersion":"v1","kind":"Release"}`)) != nil || json.Unmarshal(encoded, &virtual.Object) != nil {
			t.Skip()
		}
		before := virtual.DeepCopy()
		checkRelease(virtual)
		releaseReferences(virtual)
		host := testTranslator.hostRelease(virtual)
		if diff := cmp.Diff(before.Object, virtual.Object); diff != "" {
			t.Fatalf("the virtual Release was changed:\n%s", diff)
		}
		eachReference(host, func(ref reference) {
			if ref.namespace != "" {
				t.Errorf("%s names namespace %q", ref.field, ref.namespace)
			}
		})
		if mergeRelease(host.DeepCopy(), testTranslator.hostRelease(virtual)) {
			t.Error("what was written is written again")
		}
	})
}
