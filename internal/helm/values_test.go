// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

// readFrom serves a map of "Kind name key" to content.
func readFrom(data map[string]string) dataReader {
	return func(from helmv1beta1.ValueFromSource) (string, bool, error) {
		text, ok := data[nameOf(from)+" "+keyOf(from)]
		return content(text, ok, from, from.SecretKeyRef != nil && from.SecretKeyRef.Optional)
	}
}

func fromSecret(name, key string, optional bool) helmv1beta1.ValueFromSource {
	return helmv1beta1.ValueFromSource{SecretKeyRef: &helmv1beta1.DataKeySelector{Name: name, Key: key, Optional: optional}}
}

func TestMergeValues(t *testing.T) {
	data := map[string]string{
		"ConfigMap base values.yaml": "a: from-map\nb: {one: 1, two: 1}\nlist: [1, 2]",
		"Secret extra values.yaml":   "a: from-secret\nb: {two: 2}",
		"Secret extra password":      "p,w=1",
		"Secret extra word":          "simple",
		"Secret bad values.yaml":     "password: [s3cret",
	}
	base := helmv1beta1.ValueFromSource{ConfigMapKeyRef: &helmv1beta1.DataKeySelector{Name: "base"}}
	cases := map[string]struct {
		reason string
		spec   helmv1beta1.ValuesSpec
		want   map[string]any
		err    string
		not    string
	}{
		"order": {
			reason: "valuesFrom in order, then values, then set; mappings are merged, lists replaced",
			spec: helmv1beta1.ValuesSpec{
				ValuesFrom: []helmv1beta1.ValueFromSource{base, fromSecret("extra", "", false)},
				Values:     runtime.RawExtension{Raw: []byte(`{"b":{"two":3},"list":[3]}`)},
				Set:        []helmv1beta1.SetVal{{Name: "b.z", Value: "4"}, {Name: "c", ValueFrom: ptrTo(fromSecret("extra", "word", false))}},
			},
			want: map[string]any{
				"a": "from-secret", "list": []any{float64(3)}, "c": "simple",
				"b": map[string]any{"one": float64(1), "two": float64(3), "z": int64(4)},
			},
		},
		"optional": {
			reason: "what is missing and may be is left out",
			spec:   helmv1beta1.ValuesSpec{ValuesFrom: []helmv1beta1.ValueFromSource{fromSecret("none", "", true)}},
			want:   map[string]any{},
		},
		"missing": {
			reason: "what is missing and may not be is named",
			spec:   helmv1beta1.ValuesSpec{ValuesFrom: []helmv1beta1.ValueFromSource{base, fromSecret("none", "k", false)}},
			err:    `spec.forProvider.valuesFrom[1]: Secret none has no key "k"`,
		},
		"broken": {
			reason: "an error never quotes what may be a secret",
			spec:   helmv1beta1.ValuesSpec{ValuesFrom: []helmv1beta1.ValueFromSource{fromSecret("bad", "", false)}},
			err:    "is not a YAML mapping", not: "s3cret",
		},
		"broken set": {
			reason: "the same for set, whose syntax gives commas a meaning",
			spec:   helmv1beta1.ValuesSpec{Set: []helmv1beta1.SetVal{{Name: "a[x]", ValueFrom: ptrTo(fromSecret("extra", "password", false))}}},
			err:    "spec.forProvider.set[0] (a[x])", not: "p,w",
		},
		"no mapping": {
			reason: "values are a mapping",
			spec:   helmv1beta1.ValuesSpec{Values: runtime.RawExtension{Raw: []byte(`[1]`)}},
			err:    "spec.forProvider.values is not a mapping",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := mergeValues(c.spec, readFrom(data))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || (c.not != "" && strings.Contains(err.Error(), c.not)) {
					t.Fatalf("%s: got error %v", c.reason, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestInputsDigest(t *testing.T) {
	digest := func(chart string, values map[string]any) string {
		d, err := inputsDigest(chart, values)
		if err != nil {
			t.Fatal(err)
		}
		if len(d) > 63 {
			t.Fatalf("%q does not fit a label", d)
		}
		return d
	}
	one := digest("sha256:1", map[string]any{"a": 1, "b": map[string]any{"c": true, "d": "x"}})
	if same := digest("sha256:1", map[string]any{"b": map[string]any{"d": "x", "c": true}, "a": 1}); same != one {
		t.Error("the order of keys changed the digest")
	}
	if other := digest("sha256:2", map[string]any{"a": 1, "b": map[string]any{"c": true, "d": "x"}}); other == one {
		t.Error("another chart has the same digest")
	}
	if other := digest("sha256:1", map[string]any{"a": 1}); other == one {
		t.Error("other values have the same digest")
	}
}

func ptrTo[T any](v T) *T { return &v }
