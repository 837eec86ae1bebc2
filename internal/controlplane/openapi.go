// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"errors"
	"fmt"
	"sync"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/handler3"
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

// openAPIDocuments are the OpenAPI documents of the built-in APIs, as the first control
// plane of the process made them from its routes. All control planes have the same, so the
// others serve these; what their CRDs and aggregated APIs add is their own.
type openAPIDocuments struct {
	mu sync.Mutex
	v2 *handler.OpenAPIService
	v3 *handler3.OpenAPIService
}

// sharedDocuments is process-wide for the same reason as sharedDefinitions.
var sharedDocuments openAPIDocuments

// exist says whether a control plane may leave making them out (SkipOpenAPIInstallation).
func (d *openAPIDocuments) exist() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.v2 != nil
}

// keep takes them from a server that has made them.
func (d *openAPIDocuments) keep(from *genericapiserver.GenericAPIServer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.v2 == nil {
		d.v2, d.v3 = from.OpenAPIVersionedService, from.OpenAPIV3VersionedService
	}
}

// install serves them where a server that left making them out would, before its PrepareRun.
func (d *openAPIDocuments) install(in *genericapiserver.GenericAPIServer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.v2 == nil || d.v3 == nil {
		return errors.New("the shared OpenAPI documents do not exist")
	}
	mux := in.Handler.NonGoRestfulMux
	d.v2.RegisterOpenAPIVersionedService("/openapi/v2", mux)
	if err := d.v3.RegisterOpenAPIV3VersionedService("/openapi/v3", mux); err != nil {
		return fmt.Errorf("serving the shared OpenAPI documents: %w", err)
	}
	return nil
}
