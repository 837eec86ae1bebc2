// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package script

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/status"
)

// scene is one thing that the operator does to a claim.
type scene func(ctx context.Context, c client.Client, key client.ObjectKey, message string) error

func scenes() map[string]scene {
	return map[string]scene{
		"ready":      ready,
		"working":    told(v1alpha1.ReasonCreating),
		"refuse":     told(v1alpha1.ReasonWaiting),
		"broken":     told(v1alpha1.ReasonUnavailable),
		"deleting":   told(v1alpha1.ReasonDeleting),
		"gone":       gone,
		"repository": repository,
		"gitserver":  gitServer,
	}
}

// awaited waits for the claim: the CLI creates it in the background.
func awaited(ctx context.Context, c client.Client, key client.ObjectKey) (*v1alpha1.ApplicationClaim, error) {
	claim := &v1alpha1.ApplicationClaim{}
	err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, key, claim)
		return err == nil, client.IgnoreNotFound(err)
	})
	return claim, err
}

// told sets Ready to False with the reason and the message.
func told(reason string) scene {
	return func(ctx context.Context, c client.Client, key client.ObjectKey, message string) error {
		claim, err := awaited(ctx, c, key)
		if err != nil {
			return err
		}
		if reason == v1alpha1.ReasonDeleting {
			err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
				err := c.Get(ctx, key, claim)
				return !claim.DeletionTimestamp.IsZero(), err
			})
			if err != nil {
				return err
			}
		}
		before := claim.DeepCopy()
		status.Set(&claim.Status.Conditions, claim.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
		return c.Status().Patch(ctx, claim, client.MergeFrom(before))
	}
}

// ready plays every stage, half a second each, and holds the claim with the finalizer.
func ready(ctx context.Context, c client.Client, key client.ObjectKey, _ string) error {
	claim, err := awaited(ctx, c, key)
	if err != nil {
		return err
	}
	before := claim.DeepCopy()
	claim.Finalizers = []string{v1alpha1.FinalizerCleanup}
	if err := c.Patch(ctx, claim, client.MergeFrom(before)); err != nil {
		return err
	}
	summary := func() {
		claim.Status.Ready, claim.Status.Environment = true, claim.Spec.Name
		claim.Status.Repository = &v1alpha1.RepositorySummary{CloneURL: "http://git.test/skerry/" + key.Name + ".git"}
		claim.Status.GitOps = &v1alpha1.GitOpsSummary{URL: "http://git.test/skerry/" + key.Name + "-gitops.git", Revision: "0123456789abcdef"}
		claim.Status.Application = &v1alpha1.ApplicationSummary{Endpoint: "http://" + key.Name + ".default.svc:8080"}
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, typ := range []string{v1alpha1.ConditionSynced, v1alpha1.ConditionRepositoriesReady, v1alpha1.ConditionEnvironmentReady,
		v1alpha1.ConditionRegistered, v1alpha1.ConditionDelivered, v1alpha1.ConditionComponentsHealthy, v1alpha1.ConditionReady} {
		before := claim.DeepCopy()
		summary()
		status.Set(&claim.Status.Conditions, claim.Generation, typ, metav1.ConditionTrue, v1alpha1.ReasonAvailable, "")
		if typ != v1alpha1.ConditionReady {
			claim.Status.Stages = append(claim.Status.Stages, v1alpha1.StageTiming{
				Name:      typ,
				StartedAt: metav1.NewMicroTime(start.Add(time.Duration(i) * 500 * time.Millisecond)), FinishedAt: metav1.NewMicroTime(start.Add(time.Duration(i+1) * 500 * time.Millisecond)),
			})
		}
		if err := c.Status().Patch(ctx, claim, client.MergeFrom(before)); err != nil {
			return err
		}
	}
	return nil
}

// gone lets the claim go once it is being deleted.
func gone(ctx context.Context, c client.Client, key client.ObjectKey, _ string) error {
	claim, err := awaited(ctx, c, key)
	if err != nil {
		return err
	}
	before := claim.DeepCopy()
	claim.Finalizers = nil
	return client.IgnoreNotFound(c.Patch(ctx, claim, client.MergeFrom(before)))
}

// repository plays a repository that is there.
func repository(ctx context.Context, c client.Client, key client.ObjectKey, _ string) error {
	r := &v1alpha1.Repository{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Spec: v1alpha1.RepositorySpec{Name: key.Name, Owner: "skerry", Role: v1alpha1.RepositoryGitOps}}
	if err := c.Create(ctx, r); err != nil {
		return err
	}
	before := r.DeepCopy()
	r.Status.CloneURL = fmt.Sprintf("http://git.test:80/skerry/%s.git", key.Name)
	return c.Status().Patch(ctx, r, client.MergeFrom(before))
}

// gitServer plays the Git server's credentials.
func gitServer(ctx context.Context, c client.Client, key client.ObjectKey, password string) error {
	return ignoreExists(c.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		StringData: map[string]string{"username": "admin", "password": password},
	}))
}
