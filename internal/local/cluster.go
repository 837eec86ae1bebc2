// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// readyInterval is between two questions to an API server that does not answer yet:
// nothing can be watched there.
const readyInterval = 100 * time.Millisecond

// restConfig is the administrator's, without client-side limits.
func (l layout) restConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", l.kubeconfig(), err)
	}
	config.QPS = -1
	// The cluster is on this machine; a proxy of the environment is for elsewhere.
	config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	return config, nil
}

// awaitAPI waits until the API server says that it is ready. The error of a time-out
// holds its last answer.
func awaitAPI(ctx context.Context, clients kubernetes.Interface) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, readyInterval, true, func(ctx context.Context) (bool, error) {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		last = clients.Discovery().RESTClient().Get().AbsPath("/readyz").Do(asking).Error()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("the API server is not ready: %w", errors.Join(last, err))
	}
	return nil
}

// awaitNode waits until the node is Ready by the word of the kubelet that runs now: the
// condition of one that was stopped stays in the API for a while.
func awaitNode(ctx context.Context, clients kubernetes.Interface, l layout) error {
	source := cache.NewListWatchFromClient(clients.CoreV1().RESTClient(), "nodes", "", named(l.name))
	last := "it has not registered"
	err := until(ctx, source, &corev1.Node{}, func(o runtime.Object) bool {
		var ready bool
		ready, last = nodeReady(o.(*corev1.Node))
		return ready && heardFrom(o.(*corev1.Node), l)
	})
	if err != nil {
		return fmt.Errorf("node %s is not Ready: %s: %w", l.name, last, err)
	}
	return nil
}

// heardFrom says whether the kubelet has reported since its start. Times in the API
// are in whole seconds.
func heardFrom(n *corev1.Node, l layout) bool {
	record, err := supervise.Load(l.run(), procKubelet)
	if err != nil || !record.Alive() {
		return false
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return !c.LastHeartbeatTime.Time.Before(record.Started.Truncate(time.Second))
		}
	}
	return false
}

func nodeReady(n *corev1.Node) (ready bool, message string) {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue, c.Message
		}
	}
	return false, "it has not reported yet"
}

// awaitDNS waits until cluster DNS is available and, because that may be the word of a
// Pod from before, until it answers through its Service.
func awaitDNS(ctx context.Context, clients kubernetes.Interface, a Addresses) error {
	source := cache.NewListWatchFromClient(clients.AppsV1().RESTClient(), "deployments", metav1.NamespaceSystem, named("coredns"))
	last := "Deployment kube-system/coredns is not there"
	err := until(ctx, source, &appsv1.Deployment{}, func(o runtime.Object) bool {
		var ready bool
		ready, last = deploymentReady(o.(*appsv1.Deployment))
		return ready
	})
	if err != nil {
		return fmt.Errorf("cluster DNS is not available: %s: %w", last, err)
	}
	server := netip.AddrPortFrom(a.DNS(), 53).String()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
	var answer error
	err = wait.PollUntilContextCancel(ctx, readyInterval, true, func(ctx context.Context) (bool, error) {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, answer = resolver.LookupHost(asking, "kubernetes.default.svc.cluster.local.")
		return answer == nil, nil
	})
	if err != nil {
		return fmt.Errorf("cluster DNS at %s does not answer: %w", server, errors.Join(answer, err))
	}
	return nil
}

func named(name string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", name) }

// until watches objects of one kind until one is as wanted.
func until(ctx context.Context, source *cache.ListWatch, kind runtime.Object, wanted func(runtime.Object) bool) error {
	_, err := watchtools.UntilWithSync(ctx, source, kind, nil, func(e watch.Event) (bool, error) {
		return e.Type != watch.Deleted && wanted(e.Object), nil
	})
	return err
}
