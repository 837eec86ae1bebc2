// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// stopSeconds is how long a container may take to end after SIGTERM.
const stopSeconds = 10

// stopPods stops and removes every container and Pod sandbox through containerd, so
// that programs end in order and addresses are given back. Without containerd it does
// nothing: what is left is swept afterwards.
func stopPods(ctx context.Context, l layout) error {
	record, err := supervise.Load(l.run(), procContainerd)
	if err != nil {
		return err
	}
	if !record.Alive() {
		return nil
	}
	// Nothing encrypts a socket that only root can open.
	conn, err := grpc.NewClient("unix://"+l.containerdSocket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	runtime := cri.NewRuntimeServiceClient(conn)
	if err := stopContainers(ctx, runtime); err != nil {
		return err
	}
	sandboxes, err := runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return fmt.Errorf("listing Pods: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range sandboxes.Items {
		group.Go(func() error {
			if _, err := runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: s.Id}); err != nil {
				return fmt.Errorf("stopping Pod %s/%s: %w", s.Metadata.Namespace, s.Metadata.Name, err)
			}
			if _, err := runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: s.Id}); err != nil {
				return fmt.Errorf("removing Pod %s/%s: %w", s.Metadata.Namespace, s.Metadata.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func stopContainers(ctx context.Context, runtime cri.RuntimeServiceClient) error {
	running := &cri.ContainerFilter{State: &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}}
	containers, err := runtime.ListContainers(ctx, &cri.ListContainersRequest{Filter: running})
	if err != nil {
		return fmt.Errorf("listing containers: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range containers.Containers {
		group.Go(func() error {
			_, err := runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: c.Id, Timeout: stopSeconds})
			if err != nil {
				return fmt.Errorf("stopping container %s: %w", c.Metadata.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}
