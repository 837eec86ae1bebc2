// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"

	"github.com/skerry-platform/skerry/test/platform"
)

// volatile kinds come and go without anybody asking: they are not left behind by a deletion.
var volatile = []string{"events"}

// everything lists all objects of the host, as GROUP/RESOURCE NAMESPACE/NAME.
func everything(ctx context.Context) (map[string]bool, error) {
	disco, err := discovery.NewDiscoveryClientForConfig(platform.Host.Config)
	if err != nil {
		return nil, err
	}
	objects, err := metadata.NewForConfig(platform.Host.Config)
	if err != nil {
		return nil, err
	}
	lists, err := disco.ServerPreferredResources()
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains(volatile, r.Name) {
				continue
			}
			items, err := objects.Resource(gv.WithResource(r.Name)).List(ctx, metav1.ListOptions{})
			if err != nil {
				return nil, fmt.Errorf("listing %s: %w", r.Name, err)
			}
			for _, item := range items.Items {
				found[strings.TrimSpace(fmt.Sprintf("%s/%s %s/%s", gv.Group, r.Name, item.Namespace, item.Name))] = true
			}
		}
	}
	return found, nil
}

func missing(from, in map[string]bool) []string {
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(from)) {
		if !in[k] {
			out = append(out, k)
		}
	}
	return out
}

func allVolumesAreBound() error {
	volumes := &unstructured.UnstructuredList{}
	volumes.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeList"})
	if err := platform.Host.Client.List(context.Background(), volumes); err != nil {
		return err
	}
	for _, v := range volumes.Items {
		if phase, _, _ := unstructured.NestedString(v.Object, "status", "phase"); phase != "Bound" {
			return fmt.Errorf("PersistentVolume %s is %s", v.GetName(), phase)
		}
	}
	return nil
}

// Deleting what was created leaves the host's full object list as it was before.
func TestDeletionLeavesNothingBehind(t *testing.T) {
	theEnvironment(t)
	// The volumes of an environment that another story deleted go a little after their claims.
	platform.Eventually(t, time.Minute, "no volume is on its way out", allVolumesAreBound)
	before, err := everything(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const name = "short-lived"
	create(t, name)
	platform.Skerry(t, "verify", name)
	t.Log("\n" + platform.Skerry(t, "delete", name, "--wait", "--timeout", "3m"))
	platform.Eventually(t, time.Minute, "the host's objects are those from before", func() error {
		after, err := everything(t.Context())
		if err != nil {
			return err
		}
		if left := missing(after, before); len(left) > 0 {
			return fmt.Errorf("left behind:\n  %s", strings.Join(left, "\n  "))
		}
		return nil
	})
	after, err := everything(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if lost := missing(before, after); len(lost) > 0 {
		t.Errorf("deletion also removed:\n  %s", strings.Join(lost, "\n  "))
	}
	if out, err := platform.Try(t, "get", name); err == nil {
		t.Errorf("skerry get still finds it: %s", out)
	}
	// The same name can be used again.
	create(t, name)
	platform.Skerry(t, "delete", name, "--wait", "--timeout", "3m")
}
