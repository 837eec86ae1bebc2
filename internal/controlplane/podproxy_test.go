// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"net/http"
	"net/url"
	"testing"

	"k8s.io/apiserver/pkg/endpoints/request"
)

// A redirect that the host's API server answers stays inside the virtual cluster.
func TestRedirectsComeBack(t *testing.T) {
	info := &request.RequestInfo{APIVersion: "v1", Namespace: "default"}
	for _, c := range []struct{ reason, base, from, want string }{
		{"the slash that the host adds", "https://10.96.0.1", "/api/v1/namespaces/vc--default/pods/a:8080/proxy/", "/api/v1/namespaces/default/pods/a:8080/proxy/"},
		{"query and fragment are kept", "https://10.96.0.1", "/api/v1/namespaces/vc--default/pods/a/proxy/x?y=1#z", "/api/v1/namespaces/default/pods/a/proxy/x?y=1#z"},
		{"a host behind a path", "https://host/k8s/clusters/c", "/k8s/clusters/c/api/v1/namespaces/vc--default/pods/a/proxy/", "/api/v1/namespaces/default/pods/a/proxy/"},
		{"somewhere else", "https://10.96.0.1", "https://example.com/login", "https://example.com/login"},
		{"none", "https://10.96.0.1", "", ""},
	} {
		base, err := url.Parse(c.base)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{}
		if c.from != "" {
			header.Set("Location", c.from)
		}
		comeBack(header, Target{BaseURL: base, Namespace: "vc--default"}, info)
		if got := header.Get("Location"); got != c.want {
			t.Errorf("%s: %q became %q, want %q", c.reason, c.from, got, c.want)
		}
	}
}
