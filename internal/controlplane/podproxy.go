// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// proxiedSubresources of pods are answered by the host, where the containers are.
var proxiedSubresources = []string{"log", "exec", "attach", "portforward", "proxy"}

// podProxy sends pods/{log,exec,attach,portforward,proxy} to the host's API server, for
// the pod of the same name in the host namespace. It runs after the virtual API server has
// authenticated and authorized the request; admission does not see these requests.
type podProxy struct {
	next       http.Handler
	hooks      Hooks
	authorizer authorizer.Authorizer
}

func (p *podProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	info, ok := request.RequestInfoFrom(r.Context())
	if !ok || !info.IsResourceRequest || info.APIGroup != "" || info.Resource != "pods" ||
		info.Namespace == "" || info.Name == "" || !slices.Contains(proxiedSubresources, info.Subresource) {
		p.next.ServeHTTP(w, r)
		return
	}
	if err := p.mayUpgrade(r, info); err != nil {
		respondError(w, r, err)
		return
	}
	target, err := p.hooks.PodHost(r.Context(), info.Namespace)
	if err != nil {
		respondError(w, r, hostError(info, err))
		return
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) { rewrite(pr, target, info) },
		ModifyResponse: func(resp *http.Response) error {
			comeBack(resp.Header, target, info)
			return nil
		},
		Transport:     target.Transport,
		FlushInterval: -1, // logs are followed line by line
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			respondError(w, r, hostError(info, err))
		},
	}
	proxy.ServeHTTP(w, r)
}

// mayUpgrade repeats a check of the handlers that this one stands in for: a
// connection opened with GET (a web socket) still needs the right to create, as in
// k8s.io/kubernetes/pkg/registry/core/pod/rest (AuthorizePodWebsocketUpgradeCreatePermission).
func (p *podProxy) mayUpgrade(r *http.Request, info *request.RequestInfo) error {
	if r.Method != http.MethodGet || info.Subresource == "log" || info.Subresource == "proxy" {
		return nil
	}
	u, ok := request.UserFrom(r.Context())
	if !ok {
		return apierrors.NewUnauthorized("no user in the request")
	}
	decision, reason, err := p.authorizer.Authorize(r.Context(), authorizer.AttributesRecord{
		User: u, Verb: "create", APIVersion: info.APIVersion, Resource: info.Resource, Subresource: info.Subresource,
		Namespace: info.Namespace, Name: info.Name, ResourceRequest: true, Path: info.Path,
	})
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("authorizing pods/%s: %w", info.Subresource, err))
	}
	if decision != authorizer.DecisionAllow {
		return apierrors.NewForbidden(podResource, info.Name, fmt.Errorf("user %q may not create pods/%s: %s", u.GetName(), info.Subresource, reason))
	}
	return nil
}

var podResource = schema.GroupResource{Resource: "pods"}

// rewrite aims the request at the host, without the caller's identity: the target's
// transport has its own.
func rewrite(pr *httputil.ProxyRequest, target Target, info *request.RequestInfo) {
	for _, h := range []string{"Authorization", "Cookie"} {
		pr.Out.Header.Del(h)
	}
	for h := range pr.Out.Header {
		if strings.HasPrefix(h, "Impersonate-") || strings.HasPrefix(h, "X-Remote-") {
			pr.Out.Header.Del(h)
		}
	}
	pr.Out.URL = hostURL(target, info, pr.In.URL)
	pr.Out.Host = ""
}

// hostURL replaces the namespace in the path and keeps everything after it as it was escaped.
func hostURL(target Target, info *request.RequestInfo, in *url.URL) *url.URL {
	out := *target.BaseURL
	out.RawQuery = in.RawQuery
	prefix := "/api/" + info.APIVersion + "/namespaces/"
	from, to := prefix+info.Namespace+"/", strings.TrimSuffix(target.BaseURL.Path, "/")+prefix+target.Namespace+"/"
	out.Path = to + strings.TrimPrefix(in.Path, from)
	if in.RawPath != "" {
		out.RawPath = to + strings.TrimPrefix(in.RawPath, from)
	}
	return &out
}

// comeBack turns a redirect into the host's namespace (a path below pods/NAME/proxy, which the
// host's API server wrote) into one into the virtual one.
func comeBack(header http.Header, target Target, info *request.RequestInfo) {
	location, err := url.Parse(header.Get("Location"))
	if err != nil || location.Path == "" {
		return
	}
	prefix := "/api/" + info.APIVersion + "/namespaces/"
	rest, ok := strings.CutPrefix(location.Path, strings.TrimSuffix(target.BaseURL.Path, "/")+prefix+target.Namespace+"/")
	if !ok {
		return
	}
	header.Set("Location", (&url.URL{Path: prefix + info.Namespace + "/" + rest, RawQuery: location.RawQuery, Fragment: location.Fragment}).String())
}

func hostError(info *request.RequestInfo, err error) error {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return err
	}
	return &apierrors.StatusError{ErrStatus: apierrors.NewGenericServerResponse(http.StatusBadGateway, info.Verb, podResource, info.Name,
		fmt.Sprintf("reaching the pod on the host cluster: %v", err), 0, true).ErrStatus}
}

func respondError(w http.ResponseWriter, r *http.Request, err error) {
	responsewriters.ErrorNegotiated(err, legacyscheme.Codecs, schema.GroupVersion{Version: "v1"}, w, r)
}
