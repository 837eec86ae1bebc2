// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// contextOf returns what a template sees as `context`, but for output and outputs:
//
//	name, revision                       of the component; revision is NAME-vN
//	namespace                            that objects without one go to
//	appName, appNamespace                of the Application
//	appRevision, appRevisionNum          NAME-vN and N
//	appLabels, appAnnotations            of the Application
//	cluster                              the cluster's name
//	clusterVersion{major,minor,gitVersion,platform}
//	components[]{name,type,properties}   all of the Application
//	publishVersion, workflowName         for definitions that mention them
func contextOf(in Input, plan *Plan, spec oamv1.ApplicationComponent) map[string]any {
	app, v := in.Application, in.ClusterVersion
	components := make([]any, 0, len(app.Spec.Components))
	for _, c := range app.Spec.Components {
		components = append(components, map[string]any{"name": c.Name, "type": c.Type, "properties": properties(c.Properties)})
	}
	return map[string]any{
		"name": spec.Name, "namespace": plan.Namespace, "revision": fmt.Sprintf("%s-v%d", spec.Name, in.Revision.Revision),
		"appName": app.Name, "appNamespace": app.Namespace,
		"appRevision": in.Revision.Name, "appRevisionNum": in.Revision.Revision,
		"appLabels": orEmpty(app.Labels), "appAnnotations": orEmpty(app.Annotations),
		"cluster":        in.Cluster,
		"clusterVersion": map[string]any{"major": v.Major, "minor": v.Minor, "gitVersion": v.GitVersion, "platform": v.Platform},
		"components":     components,
		"publishVersion": app.Annotations[oamv1.AnnotationPublishVersion], "workflowName": "",
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// withOutputs returns the context with what has been assembled so far.
func (a *assembly) withOutputs() map[string]any {
	out := maps.Clone(a.context)
	if a.Output != nil {
		out["output"] = a.Output
	}
	if len(a.Outputs) > 0 {
		objects := map[string]any{}
		for _, o := range a.Outputs {
			objects[o.Key] = o.Object
		}
		out["outputs"] = objects
	}
	return out
}

// resourceName is RESOURCE.GROUP of a kind, as appliesToWorkloads names it.
func resourceName(gvk schema.GroupVersionKind) string {
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	if gvk.Group == "" {
		return plural.Resource
	}
	return plural.Resource + "." + gvk.Group
}
