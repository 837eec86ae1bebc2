// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

func TestHealth(t *testing.T) {
	defs := builtin(t)
	bare := defs.Components["postgresql"].DeepCopy()
	bare.Name, bare.Spec.Status = "bare", nil
	broken := defs.Components["postgresql"].DeepCopy()
	broken.Name, broken.Spec.Status = "broken", &oamv1.Status{HealthPolicy: "isHealth: context.output.status.ready ="}
	detailed := defs.Components["postgresql"].DeepCopy()
	detailed.Name = "detailed"
	detailed.Spec.Status = &oamv1.Status{
		HealthPolicy: `isHealth: context.output.status.atProvider.state == "deployed" && parameter.storage != ""`,
		Details:      `state: context.output.status.atProvider.state, _hidden: 1, later: context.output.status.later`,
	}
	defs.Components["bare"], defs.Components["broken"], defs.Components["detailed"] = bare, broken, detailed

	cases := map[string]struct {
		reason     string
		component  string
		properties string
		status     string // of the main object; empty: the object is not there
		want       render.Health
	}{
		"NotThere": {
			reason:    "An object that does not exist is not healthy, whatever the policy says.",
			component: "postgresql", want: render.Health{Message: "Release web-postgresql does not exist yet"},
		},
		"NotSeen": {
			reason:    "A Release without conditions is not healthy.",
			component: "postgresql", status: `{}`,
			want: render.Health{Message: "the Release has not been seen by the Helm engine yet"},
		},
		"DeepestCause": {
			reason:    "The message is that of the condition that does not hold.",
			component: "postgresql",
			status:    `{conditions: [{type: Synced, status: "True"}, {type: Ready, status: "False", reason: Unavailable, message: "Pod db-0: image not found"}]}`,
			want:      render.Health{Message: "Pod db-0: image not found"},
		},
		"Ready": {
			reason:    "Ready and Synced are healthy.",
			component: "redis",
			status:    `{conditions: [{type: Ready, status: "True"}, {type: Synced, status: "True"}]}`,
			want:      render.Health{Healthy: true, Message: "Ready"},
		},
		"NoPolicyUnready": {
			reason:    "Without a policy a Release follows Crossplane's conditions.",
			component: "bare",
			status:    `{conditions: [{type: Synced, status: "False", reason: ReconcileError, message: "no such chart"}]}`,
			want:      render.Health{Message: "Release web-postgresql is not Synced: ReconcileError: no such chart"},
		},
		"NoPolicyReady": {
			reason:    "Without a policy a Release follows Crossplane's conditions.",
			component: "bare",
			status:    `{conditions: [{type: Ready, status: "True"}, {type: Synced, status: "True"}]}`,
			want:      render.Health{Healthy: true},
		},
		"BrokenPolicy": {
			reason:    "A policy that cannot be read says so.",
			component: "broken", status: `{}`,
			want: render.Health{Message: "syntax error: missing ',' in struct literal (ComponentDefinition vela-system/broken status.healthPolicy, line 1)"},
		},
		"Details": {
			reason:    "Details that are known are shown; the others are left out.",
			component: "detailed", status: `{atProvider: {state: deployed}}`,
			want: render.Health{Healthy: true, Details: map[string]string{"state": "deployed"}},
		},
		"DeploymentProgressing": {
			reason:    "A Deployment without a policy follows kstatus; its own words come after the definition's.",
			component: "webservice", properties: `{"image":"a"}`,
			status: `{observedGeneration: 0, replicas: 1, updatedReplicas: 1, unavailableReplicas: 1}`,
			want:   render.Health{Message: "Ready:0/1 (Deployment web: Available: 0/1)"},
		},
		"DeploymentReady": {
			reason:    "A Deployment without a policy follows kstatus.",
			component: "webservice", properties: `{"image":"a"}`,
			status: `{observedGeneration: 0, replicas: 1, readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1,
			  conditions: [{type: Available, status: "True"}]}`,
			want: render.Health{Healthy: true, Message: "Ready:1/1"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			properties := tc.properties
			if properties == "" {
				properties = `{}`
			}
			res, err := render.Render(t.Context(), input(application(tc.component, properties, "", ""), defs))
			if err != nil {
				t.Fatal(err)
			}
			got, err := res.Components[0].Health(t.Context(), nil, func(o *unstructured.Unstructured) *unstructured.Unstructured {
				if tc.status == "" {
					return nil
				}
				live := o.DeepCopy()
				var status map[string]any
				if err := yaml.Unmarshal([]byte(tc.status), &status); err != nil {
					t.Fatal(err)
				}
				for k, v := range status {
					if f, ok := v.(float64); ok {
						status[k] = int64(f)
					}
				}
				live.Object["status"] = status
				return live
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Workload); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}
