// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// A refused request leaves an Event in its namespace, written as whoever was refused, and the
// caller gets the refusal as it was.
func TestReportRefusals(t *testing.T) {
	refusal := apierrors.NewForbidden(corev1.Resource("pods"), "web",
		fmt.Errorf("exceeded quota: virtual-cluster-share, requested: limits.cpu=1, used: limits.cpu=1, limited: limits.cpu=1"))
	other := apierrors.NewForbidden(corev1.Resource("pods"), "web", fmt.Errorf("violates PodSecurity"))
	for _, c := range []struct {
		why    string
		answer *apierrors.StatusError
		events int
	}{
		{"the share is full", refusal, 1},
		{"something else", other, 0},
	} {
		t.Run(c.why, func(t *testing.T) {
			var events []*corev1.Event
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if !strings.Contains(r.URL.Path, "/events/") {
					w.WriteHeader(http.StatusForbidden)
					status := c.answer.Status()
					status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
					_ = json.NewEncoder(w).Encode(status)
					return
				}
				e := &corev1.Event{}
				if err := json.NewDecoder(r.Body).Decode(e); err != nil {
					t.Error(err)
				}
				if r.Method != http.MethodPatch || r.Header.Get("Impersonate-User") != "tenant" || !strings.HasPrefix(r.URL.Path, "/behind/api/v1/namespaces/reef--shop/events/") {
					t.Errorf("%s %s as %q", r.Method, r.URL, r.Header.Get("Impersonate-User"))
				}
				events = append(events, e)
			}))
			defer server.Close()
			clients, err := kubernetes.NewForConfig(ReportRefusals(&rest.Config{
				Host: server.URL + "/behind", Impersonate: rest.ImpersonationConfig{UserName: "tenant"},
			}))
			if err != nil {
				t.Fatal(err)
			}
			_, err = clients.CoreV1().Pods("reef--shop").Create(t.Context(), &corev1.Pod{}, metav1.CreateOptions{})
			if !apierrors.IsForbidden(err) || err.Error() != c.answer.Error() {
				t.Errorf("the caller got %v, want %v", err, c.answer)
			}
			if len(events) != c.events {
				t.Fatalf("%d Events, want %d", len(events), c.events)
			}
			for _, e := range events {
				if e.Reason != EventReason || e.InvolvedObject.Kind != "ResourceQuota" || e.Message != c.answer.Error() {
					t.Errorf("Event %+v", e)
				}
			}
		})
	}
}
