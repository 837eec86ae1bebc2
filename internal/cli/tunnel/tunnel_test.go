// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"encoding/pem"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// Only the API server that the certificate names is taken for the virtual cluster's.
func TestAnswers(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	address := server.Listener.Addr().String()
	with := func(ca []byte) *Tunnel {
		return &Tunnel{Name: "shop", admin: &rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: ca}}}
	}
	if with(ca).answers(t.Context(), address) {
		t.Error("a server with another name (example.com) is taken for shop.shop.svc")
	}
	if with(nil).answers(t.Context(), address) {
		t.Error("a server is trusted without an authority")
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	if with(ca).answers(t.Context(), closed.Addr().String()) {
		t.Error("a closed port answered")
	}
}

// The member is found from the EndpointSlice of the Service, by reference or by address.
func TestMember(t *testing.T) {
	env := testenv.Start(t)
	name := env.Namespace(t)
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: name, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.7"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "skerry-system", Name: "skerry-pool-0"}}},
		Ports: []discoveryv1.EndpointPort{{Name: ptr.To("https"), Port: ptr.To[int32](7443)}},
	}
	if _, _, err := member(t.Context(), env.Client, name); !errors.Is(err, errNoMember) {
		t.Errorf("without a slice: %v", err)
	}
	if err := env.Client.Create(t.Context(), slice); err != nil {
		t.Fatal(err)
	}
	if _, _, err := member(t.Context(), env.Client, name); !errors.Is(err, errNoMember) {
		t.Errorf("with a member that is not ready: %v", err)
	}
	slice.Endpoints[0].Conditions.Ready = ptr.To(true)
	if err := env.Client.Update(t.Context(), slice); err != nil {
		t.Fatal(err)
	}
	pod, port, err := member(t.Context(), env.Client, name)
	if err != nil || pod.Name != "skerry-pool-0" || port != 7443 {
		t.Errorf("got %v %d %v", pod, port, err)
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	env := testenv.Start(t)
	host := Host{Config: env.Config, Client: env.Client}
	var notReady *NotReadyError
	if _, err := Open(t.Context(), host, "nobody"); !errors.As(err, &notReady) || !strings.Contains(err.Error(), "there is no virtual cluster nobody") {
		t.Errorf("got %v", err)
	}
	vc := &v1alpha1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "tunnel-early"}}
	if err := env.Client.Create(t.Context(), vc); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), host, vc.Name); !errors.As(err, &notReady) || !strings.Contains(err.Error(), "vc-tunnel-early) is not there yet") {
		t.Errorf("got %v", err)
	}
}
