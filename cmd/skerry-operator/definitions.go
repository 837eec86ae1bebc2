// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/catalog"
	"github.com/skerry-platform/skerry/internal/apply"
)

// definitions keeps the catalog's OAM definitions on the host, from where every syncer
// takes them into its virtual cluster. It runs on the leader, once per start: the
// catalog is part of this program.
type definitions struct {
	client client.Client
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (definitions) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (d definitions) Start(ctx context.Context) error {
	defs, err := catalog.Definitions()
	if err != nil {
		return fmt.Errorf("reading the catalog's definitions: %w", err)
	}
	objs := make([]*unstructured.Unstructured, 0, len(defs))
	for _, def := range defs {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(def)
		if err != nil {
			return fmt.Errorf("converting definition %s: %w", def.GetName(), err)
		}
		o := &unstructured.Unstructured{Object: content}
		o.SetNamespace(platformv1alpha1.DefinitionNamespace)
		unstructured.RemoveNestedField(o.Object, "status")
		objs = append(objs, o)
	}
	if _, err := apply.New(d.client, "skerry-catalog").Apply(ctx, objs...); err != nil {
		return fmt.Errorf("writing the catalog's definitions: %w", err)
	}
	ctrl.LoggerFrom(ctx).Info("catalog definitions are in place", "count", len(objs))
	return nil
}
