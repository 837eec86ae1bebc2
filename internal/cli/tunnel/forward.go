// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// forward is one running port-forward.
type forward struct {
	cancel context.CancelFunc
	// lost is closed when the connection is gone; err is set before.
	lost chan struct{}
	err  error
}

func (f *forward) stop() {
	f.cancel()
	<-f.lost
}

// Forward opens a port-forward to the pool member that serves the virtual cluster, at a port of
// this machine (0: any free one), and makes it the tunnel's Address.
func (t *Tunnel) Forward(ctx context.Context, host Host, localPort int) error {
	pod, port, err := member(ctx, host.Client, t.Name)
	if err != nil {
		return &NotReadyError{fmt.Sprintf("virtual cluster %s cannot be reached: %v; `skerry get %s` says what it waits for", t.Name, err, t.Name)}
	}
	dialer, err := dialer(host.Config, pod)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &forward{cancel: cancel, lost: make(chan struct{})}
	ready := make(chan struct{})
	var problems bytes.Buffer
	pf, err := portforward.NewOnAddressesForStreamingWithContext(ctx, dialer, []string{"127.0.0.1"},
		[]string{fmt.Sprintf("%d:%d", localPort, port)}, ready, &bytes.Buffer{}, &problems)
	if err != nil {
		cancel()
		return fmt.Errorf("preparing a port-forward to pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	go func() {
		defer close(f.lost)
		f.err = pf.ForwardPorts()
	}()
	select {
	case <-ready:
	case <-f.lost:
		cancel()
		return fmt.Errorf("forwarding to pod %s/%s: %w", pod.Namespace, pod.Name, errors.Join(f.err, textError(problems.String())))
	case <-ctx.Done():
		cancel()
		return ctx.Err()
	}
	ports, err := pf.GetPorts()
	if err != nil || len(ports) == 0 {
		f.stop()
		return fmt.Errorf("finding the local port of the port-forward: %w", err)
	}
	t.forward = f
	t.Address = net.JoinHostPort("127.0.0.1", fmt.Sprint(ports[0].Local))
	return nil
}

// Lost is closed when a port-forward ended by itself. It is nil, and so never closed, for
// a direct tunnel.
func (t *Tunnel) Lost() <-chan struct{} {
	if t.forward == nil {
		return nil
	}
	return t.forward.lost
}

func textError(s string) error {
	if s = strings.TrimSpace(s); s != "" {
		return errors.New(s)
	}
	return nil
}

// dialer speaks the port-forward protocol over a WebSocket, or over SPDY to an older host.
func dialer(config *rest.Config, pod *corev1.Pod) (httpstream.Dialer, error) {
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("preparing a client of the host cluster: %w", err)
	}
	target := set.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	return dialerTo(config, target)
}

func dialerTo(config *rest.Config, target *url.URL) (httpstream.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing a stream to the host cluster: %w", err)
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	socket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, config)
	if err != nil {
		return nil, fmt.Errorf("preparing a stream to the host cluster: %w", err)
	}
	return portforward.NewFallbackDialerForStreaming(socket, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// member finds the pod that serves the virtual cluster and the port in it, from the
// EndpointSlices of Service NAME in the home namespace.
func member(ctx context.Context, c client.Reader, name string) (*corev1.Pod, int32, error) {
	var slices discoveryv1.EndpointSliceList
	err := c.List(ctx, &slices, client.InNamespace(name), client.MatchingLabels{discoveryv1.LabelServiceName: name})
	if err != nil {
		return nil, 0, fmt.Errorf("listing the endpoints of Service %s/%s: %w", name, name, err)
	}
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			if len(e.Addresses) == 0 || len(s.Ports) == 0 || s.Ports[0].Port == nil || (e.Conditions.Ready != nil && !*e.Conditions.Ready) {
				continue
			}
			pod, err := podOf(ctx, c, e)
			return pod, *s.Ports[0].Port, err
		}
	}
	return nil, 0, errNoMember
}

// podOf is the pod that an endpoint names, or the pool's pod with its address.
func podOf(ctx context.Context, c client.Reader, e discoveryv1.Endpoint) (*corev1.Pod, error) {
	if ref := e.TargetRef; ref != nil && ref.Kind == "Pod" {
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name = ref.Namespace, ref.Name
		return pod, nil
	}
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(v1alpha1.SystemNamespace)); err != nil {
		return nil, fmt.Errorf("looking for the pool member at %s: %w", e.Addresses[0], err)
	}
	for i := range pods.Items {
		if pods.Items[i].Status.PodIP == e.Addresses[0] {
			return &pods.Items[i], nil
		}
	}
	return nil, errNoMember
}
