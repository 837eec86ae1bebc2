// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

// Names of definitions and keys of outputs may be longer than a label's value and have
// other characters; the labels made of them are valid, and differ when they do.
func TestLabelsAreValid(t *testing.T) {
	long := strings.Repeat("long", 20)
	seen := map[string]string{}
	for _, key := range []string{"plain", long + "-a", long + "-b", "with spaces", "ümlaut", "!!", "-dash-"} {
		def := &oamv1.ComponentDefinition{}
		def.Name = long
		def.Spec.Schematic = &oamv1.Schematic{CUE: &oamv1.CUE{Template: fmt.Sprintf(
			`outputs: %q: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "x"}`, key)}}
		res, err := render.Render(t.Context(), input(application(long, `{}`, "", ""), render.NewDefinitions(def)))
		if err != nil {
			t.Fatal(err)
		}
		labels := res.Objects()[0].GetLabels()
		for name, value := range labels {
			if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
				t.Errorf("key %q: label %s: %q: %v", key, name, value, problems)
			}
		}
		value := labels[oamv1.LabelTraitResource]
		if other, taken := seen[value]; taken {
			t.Errorf("keys %q and %q both have the label %q", key, other, value)
		}
		seen[value] = key
	}
}

// An inventory has a size; an Application beyond it is refused before anything is applied.
func TestTooManyObjects(t *testing.T) {
	def := &oamv1.ComponentDefinition{}
	def.Name = "many"
	def.Spec.Schematic = &oamv1.Schematic{CUE: &oamv1.CUE{Template: `import "list"` +
		"\noutputs: {for i in list.Range(0, 4001, 1) {\"o\\(i)\": {apiVersion: \"v1\", kind: \"ConfigMap\"}}}"}}
	_, err := render.Render(t.Context(), input(application("many", `{}`, "", ""), render.NewDefinitions(def)))
	if err == nil || !strings.Contains(err.Error(), "may render 4000 objects") {
		t.Errorf("got %v", err)
	}
}
