// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
)

func TestHide(t *testing.T) {
	s := &secrets{}
	s.add(map[string]any{"auth": map[string]any{"password": "hunter2", "long": "hunter2-and-more", "short": "abc"},
		"list": []any{"say \"friend\"", float64(1234567)}, "key": "-----BEGIN KEY-----\nMIIEvQ==\n"})
	for text, want := range map[string]string{
		"'hunter2' does not match":         "'(hidden)' does not match",
		"hunter2-and-more":                 "(hidden)",
		"abc stays":                        "abc stays",
		`quoted: "say \"friend\""`:         `quoted: "(hidden)"`,
		"pin 1234567":                      "pin (hidden)",
		"in base64 aHVudGVyMg== ":          "in base64 (hidden) ",
		"one line of a key: MIIEvQ== only": "one line of a key: (hidden) only",
	} {
		if diff := cmp.Diff(want, s.hide(text)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	cause := refusef("hunter2 is refused")
	if err := s.hideIn(fmt.Errorf("installing: %w", cause)); err.Error() != "installing: (hidden) is refused" || !errors.Is(err, cause) {
		t.Errorf("hideIn gives %v, cause kept: %v", err, errors.Is(err, cause))
	}
	var none *secrets
	if got := none.hide("hunter2"); got != "hunter2" {
		t.Errorf("without secrets %q", got)
	}
}

// A chart quotes a password that came from a Secret: in a template's error, in its schema's, and in what
// the API server refuses. Nobody reads it in status, events, logs or Helm's records.
func TestSecretsOfValuesAreNotTold(t *testing.T) {
	const password = "correct-horse-battery"
	catalog := tinyChart(map[string]string{"check.yaml": `{{ if eq .Values.how "fail" }}{{ fail (printf "%s is too weak" .Values.password) }}{{ end }}
{{ if eq .Values.how "refuse" }}
apiVersion: v1
kind: Service
metadata: {name: "x", labels: {password: "{{ .Values.password }}!"}}
spec: {ports: [{port: 1}]}
{{ end }}`}, "1.0.0")
	catalog["tiny-1.0.0/values.schema.json"].Data = []byte(`{"properties":{"strict":{"pattern":"^[0-9]*$"}}}`)
	w := newWorld(t, Options{Catalog: catalog}).allow()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "auth"},
		StringData: map[string]string{"values.yaml": "password: " + password, "word": password},
	})
	for name, c := range map[string]struct{ values, says string }{
		"template": {`{"how":"fail"}`, "(hidden) is too weak"},
		"schema":   {`{"how":""}`, "'(hidden)' does not match pattern"},
		"server":   {`{"how":"refuse"}`, `"(hidden)!"`},
	} {
		rel := w.releaseOf(name, "tiny", "1.0.0", c.values)
		rel.Spec.ForProvider.ValuesFrom = []helmv1beta1.ValueFromSource{fromSecret("auth", "", false)}
		if name == "schema" {
			rel.Spec.ForProvider.Set = []helmv1beta1.SetVal{{Name: "strict", ValueFrom: ptrTo(fromSecret("auth", "word", false))}}
		}
		w.create(rel)
		rel = w.until(name, condition("Synced", "False", c.says))
		w.silent(password, "status of "+name, rel.Status)
	}
	events := &corev1.EventList{}
	if err := w.Client.List(t.Context(), events, client.InNamespace(w.ns)); err != nil {
		t.Fatal(err)
	}
	w.silent(password, "events", events)
	w.silent(password, "log", w.logs.String())
	for _, rel := range w.records("server") {
		w.silent(password, "Helm's record", rel.Info.Description)
	}
}

// silent fails when the word is in what a person reads.
func (w *world) silent(word, what string, in any) {
	w.t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.Contains(string(text), word) {
		w.t.Errorf("%s tells the secret: %s", what, text)
	}
}
