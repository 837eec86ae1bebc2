// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SharedSource is what a pool member reads from the host once for all its tenants: Nodes and
// StorageClasses (typed), and the definitions of namespace vela-system (unstructured, see definitionKinds).
// A controller-runtime cache is one; the pool passes its own, restricted to vela-system for the definitions.
// A kind that the host does not serve gives an error from GetInformer that meta.IsNoMatchError recognises.
type SharedSource interface {
	client.Reader
	GetInformer(ctx context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error)
}
