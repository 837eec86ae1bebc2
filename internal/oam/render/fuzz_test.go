// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

func application(component, properties, trait, traitProperties string) *oamv1.Application {
	app := &oamv1.Application{}
	app.Name, app.Namespace = "shop", "default"
	c := oamv1.ApplicationComponent{Name: "web", Type: component, Properties: &runtime.RawExtension{Raw: []byte(properties)}}
	if trait != "" {
		c.Traits = []oamv1.ApplicationTrait{{Type: trait, Properties: &runtime.RawExtension{Raw: []byte(traitProperties)}}}
	}
	app.Spec.Components = []oamv1.ApplicationComponent{c}
	return app
}

// Whatever an Application says, rendering ends with objects or with one error of one
// line that says where.
func FuzzRender(f *testing.F) {
	f.Add("webservice", `{"image":"a","port":80}`, "scaler", `{"replicas":2}`)
	f.Add("worker", `{"image":5,"env":[{"name":{}}]}`, "service-binding", `{"components":["a"]}`)
	f.Add("postgresql", `{"resources":{"cpu":null},"auth":[]}`, "", ``)
	f.Add("redis", `null`, "expose", `{"port":[80],"type":"x"}`)
	f.Add("k8s-objects", `{"objects":[{"apiVersion":"v1","kind":"A","metadata":{"labels":{"a":1}}}]}`, "gateway", `{"http":{"/":1e9}}`)
	defs := builtin(f)
	f.Fuzz(func(t *testing.T, component, properties, trait, traitProperties string) {
		if !json.Valid([]byte(properties)) || trait != "" && !json.Valid([]byte(traitProperties)) {
			t.Skip("the API server takes only JSON")
		}
		res, err := render.Render(t.Context(), input(application(component, properties, trait, traitProperties), defs))
		if err == nil {
			if len(res.Objects()) == 0 {
				t.Error("rendered nothing without an error")
			}
			return
		}
		var one *render.Error
		if !errors.As(err, &one) {
			t.Errorf("not a *render.Error: %v", err)
		}
		if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "more errors") {
			t.Errorf("not one line about one thing: %q", err)
		}
	})
}

// Any text as a template ends in the same way.
func FuzzTemplate(f *testing.F) {
	f.Add(`output: {apiVersion: "v1", kind: "A"}`)
	f.Add(`output: {apiVersion: "v1" + a, kind: b + c}, a: [], b: [1], c: [2]`)
	f.Add(`package x, import "strings", output: strings`)
	f.Add(`parameter: parameter & {}`)
	f.Add(`errs: [1]`)
	f.Fuzz(func(t *testing.T, template string) {
		def := &oamv1.ComponentDefinition{}
		def.Name = "mine"
		def.Spec.Schematic = &oamv1.Schematic{CUE: &oamv1.CUE{Template: template}}
		defs := render.Definitions{Components: map[string]*oamv1.ComponentDefinition{"mine": def}}
		_, err := render.Render(t.Context(), input(application("mine", `{}`, "", ""), defs))
		var one *render.Error
		if err != nil && !errors.As(err, &one) {
			t.Errorf("not a *render.Error: %v", err)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	defs := builtin(b)
	for _, bench := range []struct{ name, component, properties, trait, traitProperties string }{
		{"webservice", "webservice", `{"image":"a","ports":[{"port":80,"expose":true}],"cpu":"1","memory":"1Gi"}`, "", ""},
		{"webservice with trait", "webservice", `{"image":"a","ports":[{"port":80,"expose":true}]}`, "service-binding", `{"component":"db"}`},
		{"postgresql", "postgresql", `{"storage":"5Gi"}`, "", ""},
	} {
		b.Run(bench.name, func(b *testing.B) {
			in := input(application(bench.component, bench.properties, bench.trait, bench.traitProperties), defs)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := render.Render(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
