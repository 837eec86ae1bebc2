// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/kubernetes/pkg/controller/cronjob"
	"k8s.io/kubernetes/pkg/controller/daemon"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/disruption"
	"k8s.io/kubernetes/pkg/controller/job"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	replicationcontroller "k8s.io/kubernetes/pkg/controller/replication"
	"k8s.io/kubernetes/pkg/controller/statefulset"
	"k8s.io/kubernetes/pkg/controller/ttlafterfinished"
)

type constructor func(ctx context.Context) (loop, error)

// workloadControllers make Pods out of workloads, with the arguments that
// cmd/kube-controller-manager/app/{apps,batch,core,policy}.go gives them.
func (c *controllers) workloadControllers() []constructor {
	return []constructor{
		c.deployment, c.replicaSet, c.replicationController, c.statefulSet, c.daemonSet,
		c.job, c.cronJob, c.ttlAfterFinished, c.disruption,
	}
}

func (c *controllers) deployment(ctx context.Context) (loop, error) {
	apps := c.informers.Apps().V1()
	dc, err := deployment.NewDeploymentController(ctx, apps.Deployments(), apps.ReplicaSets(), c.informers.Core().V1().Pods(), c.client)
	if err != nil {
		return nil, fmt.Errorf("constructing the Deployment controller: %w", err)
	}
	return func(ctx context.Context) { dc.Run(ctx, workers) }, nil
}

func (c *controllers) replicaSet(ctx context.Context) (loop, error) {
	rsc := replicaset.NewReplicaSetController(ctx, c.informers.Apps().V1().ReplicaSets(), c.informers.Core().V1().Pods(), c.client, replicaset.BurstReplicas)
	return func(ctx context.Context) { rsc.Run(ctx, workers) }, nil
}

func (c *controllers) replicationController(ctx context.Context) (loop, error) {
	core := c.informers.Core().V1()
	rc := replicationcontroller.NewReplicationManager(ctx, core.Pods(), core.ReplicationControllers(), c.client, replicationcontroller.BurstReplicas)
	return func(ctx context.Context) { rc.Run(ctx, workers) }, nil
}

func (c *controllers) statefulSet(ctx context.Context) (loop, error) {
	core, apps := c.informers.Core().V1(), c.informers.Apps().V1()
	ssc := statefulset.NewStatefulSetController(ctx, core.Pods(), apps.StatefulSets(), core.PersistentVolumeClaims(), apps.ControllerRevisions(), c.client)
	return func(ctx context.Context) { ssc.Run(ctx, workers) }, nil
}

// daemonSet places Pods by the nodes that the syncer mirrors from the host.
func (c *controllers) daemonSet(ctx context.Context) (loop, error) {
	core, apps := c.informers.Core().V1(), c.informers.Apps().V1()
	dsc, err := daemon.NewDaemonSetsController(ctx, apps.DaemonSets(), apps.ControllerRevisions(), core.Pods(), core.Nodes(), c.client,
		flowcontrol.NewBackOff(time.Second, 15*time.Minute))
	if err != nil {
		return nil, fmt.Errorf("constructing the DaemonSet controller: %w", err)
	}
	return func(ctx context.Context) { dsc.Run(ctx, workers) }, nil
}

func (c *controllers) job(ctx context.Context) (loop, error) {
	// Workloads and PodGroups are alpha features of a scheduler; nil as when they are off.
	jc, err := job.NewController(ctx, c.client, c.informers.Core().V1().Pods(), c.informers.Batch().V1().Jobs(), nil, nil)
	if err != nil {
		return nil, fmt.Errorf("constructing the Job controller: %w", err)
	}
	return func(ctx context.Context) { jc.Run(ctx, workers) }, nil
}

func (c *controllers) cronJob(ctx context.Context) (loop, error) {
	batch := c.informers.Batch().V1()
	cjc, err := cronjob.NewControllerV2(ctx, batch.Jobs(), batch.CronJobs(), c.client)
	if err != nil {
		return nil, fmt.Errorf("constructing the CronJob controller: %w", err)
	}
	return func(ctx context.Context) { cjc.Run(ctx, workers) }, nil
}

func (c *controllers) ttlAfterFinished(ctx context.Context) (loop, error) {
	ttl := ttlafterfinished.New(ctx, c.informers.Batch().V1().Jobs(), c.client)
	return func(ctx context.Context) { ttl.Run(ctx, workers) }, nil
}

func (c *controllers) disruption(ctx context.Context) (loop, error) {
	scaleClient, err := scale.NewForConfig(c.config, c.mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(c.discovery))
	if err != nil {
		return nil, fmt.Errorf("making the disruption controller's client: %w", err)
	}
	core, apps := c.informers.Core().V1(), c.informers.Apps().V1()
	dc := disruption.NewDisruptionController(ctx, core.Pods(), c.informers.Policy().V1().PodDisruptionBudgets(), core.ReplicationControllers(),
		apps.ReplicaSets(), apps.Deployments(), apps.StatefulSets(), c.client, c.mapper, scaleClient, c.discovery)
	return func(ctx context.Context) { dc.Run(ctx, workers) }, nil
}
