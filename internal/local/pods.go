// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/apimachinery/pkg/util/wait"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// stopSeconds is how long a container may take to end after SIGTERM.
const stopSeconds = 10

// answerTime is how long containerd may take to answer before it is done without.
const answerTime = time.Minute

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
	return stopAll(ctx, l.containerdSocket())
}

// stopAll does it at a socket.
func stopAll(ctx context.Context, socket string) error {
	// Nothing encrypts a socket that only root can open.
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		return err
	}
	defer conn.Close()
	runtime := cri.NewRuntimeServiceClient(conn)
	if !answers(ctx, runtime) {
		return ctx.Err() // it is ended with the others, and what it leaves is swept
	}
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

// answers waits until a containerd that has just been started knows its Pods: before that it
// refuses every question. It reports whether it does so in time.
func answers(ctx context.Context, runtime cri.RuntimeServiceClient) bool {
	err := wait.PollUntilContextTimeout(ctx, readyInterval, answerTime, true, func(ctx context.Context) (bool, error) {
		_, err := runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
		return err == nil, nil
	})
	return err == nil
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
