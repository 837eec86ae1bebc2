// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"sync"

	"k8s.io/kube-openapi/pkg/common"
	generatedopenapi "k8s.io/kubernetes/pkg/generated/openapi"
)

// openAPIDefinitions computes the definitions of the built-in kinds once for each
// form of reference (OpenAPI 2 and 3) and shares them between all control planes of the
// process. They are a fifth of a control plane's heap, the same for every tenant, and
// only read.
type openAPIDefinitions struct {
	mu    sync.Mutex
	byRef map[string]map[string]common.OpenAPIDefinition
}

// sharedDefinitions is process-wide because what it holds is compiled into the binary.
var sharedDefinitions = &openAPIDefinitions{byRef: map[string]map[string]common.OpenAPIDefinition{}}

func (d *openAPIDefinitions) get(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	pod := ref("k8s.io/api/core/v1.Pod")
	form := pod.String()
	d.mu.Lock()
	defer d.mu.Unlock()
	if defs, ok := d.byRef[form]; ok {
		return defs
	}
	defs := generatedopenapi.GetOpenAPIDefinitions(ref)
	d.byRef[form] = defs
	return defs
}
