// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1beta1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.crossplane.io/v1beta1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/cli/tunnel"
)

// Client of the host, which can watch.
func Client(t testing.TB) client.WithWatch {
	t.Helper()
	return connect(t, Host.Config)
}

// Virtual is a client of a virtual cluster, as its administrator.
func Virtual(t testing.TB, name string) client.WithWatch {
	t.Helper()
	way, err := tunnel.Open(t.Context(), tunnel.Host{Config: Host.Config, Client: Client(t)}, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.Close)
	config := way.AdminConfig()
	config.QPS, config.Burst = -1, 0
	return connect(t, config)
}

func connect(t testing.TB, config *rest.Config) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, v1alpha1.AddToScheme, oamv1beta1.AddToScheme, helmv1beta1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// PauseImage is the node's own sandbox image: a Pod that does nothing.
func PauseImage(t testing.TB) string {
	t.Helper()
	nodes := &corev1.NodeList{}
	if err := Client(t).List(t.Context(), nodes); err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes.Items {
		for _, image := range node.Status.Images {
			for _, name := range image.Names {
				if strings.Contains(name, "/pause:") {
					return name
				}
			}
		}
	}
	t.Fatal("no node has a pause image")
	return ""
}
