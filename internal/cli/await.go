// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

func customResourceDefinition() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
}

// workload is one part of the platform: a Deployment or StatefulSet of its namespace.
type workload struct {
	kind, name   string
	ready, wants int32
}

func (w workload) done() bool { return w.ready >= w.wants }

// awaitPlatform waits until every workload of the platform is ready, one line as each is.
func awaitPlatform(ctx context.Context, h *host, p *progress, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	begun := time.Now()
	for {
		parts, version, err := platform(ctx, h)
		if err != nil && lasting(err) {
			return err
		}
		waiting := missingPart(ctx, h, p, parts, begun)
		if err == nil && waiting == "" {
			return nil
		}
		p.wait(waiting)
		if err == nil {
			err = changed(ctx, h, version)
		}
		if errors.Is(context.Cause(ctx), errTimeout) {
			return &exitError{code: ExitTimeout, err: fmt.Errorf("the platform is not at work after %s: %s\n       look with: skerry kubectl -n %s get pods,events", timeout, waiting, v1alpha1.SystemNamespace)}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil { // the API server is not there for the moment
			select {
			case <-ctx.Done():
			case <-time.After(reconnect):
			}
		}
	}
}

// missingPart shows the parts that are ready and says what the first of the others waits for.
func missingPart(ctx context.Context, h *host, p *progress, parts []workload, begun time.Time) string {
	if len(parts) == 0 {
		return "waiting for the workloads in namespace " + v1alpha1.SystemNamespace
	}
	waiting := ""
	for _, w := range parts {
		if w.done() {
			p.done(line{key: w.kind + w.name, text: w.name, took: time.Since(begun)})
			continue
		}
		if waiting == "" {
			waiting = fmt.Sprintf("%s %s/%s: %d of %d ready%s", w.kind, v1alpha1.SystemNamespace, w.name, w.ready, w.wants, podProblem(ctx, h, w.name))
		}
	}
	return waiting
}

// platform lists the workloads and the version of the list of pods, to watch from.
func platform(ctx context.Context, h *host) ([]workload, string, error) {
	here := client.InNamespace(v1alpha1.SystemNamespace)
	var deployments appsv1.DeploymentList
	if err := h.client.List(ctx, &deployments, here); err != nil {
		return nil, "", fmt.Errorf("listing the platform's Deployments: %w", err)
	}
	var sets appsv1.StatefulSetList
	if err := h.client.List(ctx, &sets, here); err != nil {
		return nil, "", fmt.Errorf("listing the platform's StatefulSets: %w", err)
	}
	var out []workload
	for _, s := range sets.Items {
		ready := s.Status.ReadyReplicas
		if s.Status.ObservedGeneration < s.Generation || s.Status.UpdatedReplicas < *s.Spec.Replicas {
			ready = min(ready, s.Status.UpdatedReplicas, *s.Spec.Replicas-1)
		}
		out = append(out, workload{"StatefulSet", s.Name, ready, *s.Spec.Replicas})
	}
	for _, d := range deployments.Items {
		ready := min(d.Status.ReadyReplicas, d.Status.UpdatedReplicas)
		if d.Status.ObservedGeneration < d.Generation {
			ready = 0
		}
		out = append(out, workload{"Deployment", d.Name, ready, *d.Spec.Replicas})
	}
	return out, sets.ResourceVersion, nil
}

// changed waits until a pod of the platform changes, at most a second, because a Deployment's status
// follows its pods.
func changed(ctx context.Context, h *host, version string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	w, err := h.client.Watch(ctx, &appsv1.StatefulSetList{}, client.InNamespace(v1alpha1.SystemNamespace), fromVersion(version))
	if err != nil {
		return err
	}
	defer w.Stop()
	select {
	case <-w.ResultChan():
	case <-ctx.Done():
	}
	return nil
}

// podProblem is what the first pod of a workload waits for, when a container says so.
func podProblem(ctx context.Context, h *host, name string) string {
	var pods corev1.PodList
	if err := h.client.List(ctx, &pods, client.InNamespace(v1alpha1.SystemNamespace)); err != nil {
		return ""
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if len(pod.Name) <= len(name) || pod.Name[:len(name)+1] != name+"-" {
			continue
		}
		if why := podMessage(pod); why != "" {
			return "; Pod " + pod.Name + ": " + why
		}
	}
	return ""
}
