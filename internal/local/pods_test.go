// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// starting is a containerd that has one Pod and refuses the first questions, as one that has just
// been started does.
type starting struct {
	cri.UnimplementedRuntimeServiceServer
	asked   atomic.Int32
	removed atomic.Bool
}

func (s *starting) ready() error {
	if s.asked.Add(1) <= 3 {
		return errors.New("server is not initialized yet")
	}
	return nil
}

func (s *starting) ListContainers(context.Context, *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	return &cri.ListContainersResponse{}, s.ready()
}

func (s *starting) ListPodSandbox(context.Context, *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	pod := &cri.PodSandbox{Id: "1", Metadata: &cri.PodSandboxMetadata{Namespace: "default", Name: "pod"}}
	return &cri.ListPodSandboxResponse{Items: []*cri.PodSandbox{pod}}, s.ready()
}

func (s *starting) StopPodSandbox(context.Context, *cri.StopPodSandboxRequest) (*cri.StopPodSandboxResponse, error) {
	return &cri.StopPodSandboxResponse{}, s.ready()
}

func (s *starting) RemovePodSandbox(context.Context, *cri.RemovePodSandboxRequest) (*cri.RemovePodSandboxResponse, error) {
	s.removed.Store(true)
	return &cri.RemovePodSandboxResponse{}, s.ready()
}

// Who breaks off `skerry up` and says `skerry down` at once meets a containerd that only starts.
func TestStopWaitsForAContainerdThatStarts(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "containerd.sock")
	containerd, server := &starting{}, grpc.NewServer()
	cri.RegisterRuntimeServiceServer(server, containerd)
	t.Cleanup(server.Stop)
	done := make(chan error, 1)
	go func() { done <- stopAll(t.Context(), socket) }()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !containerd.removed.Load() {
		t.Error("the Pod is still there")
	}
}
