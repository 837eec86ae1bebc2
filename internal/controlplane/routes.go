// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"reflect"
	"regexp"
	"sync"

	"github.com/emicklei/go-restful/v3"
)

// pathExpressions are the regular expressions of the built-in APIs' paths, by their source. They
// are an eighth of a control plane's heap, the same for every tenant, and safe to use
// together.
type pathExpressions struct {
	mu       sync.Mutex
	bySource map[string]*regexp.Regexp
}

// sharedExpressions is process-wide because the paths are compiled into the binary.
var sharedExpressions = pathExpressions{bySource: map[string]*regexp.Regexp{}}

// slim frees what the routes of a control plane need not have for themselves. documented says
// that their OpenAPI documents exist already.
func slim(container *restful.Container, documented bool) {
	for _, service := range container.RegisteredWebServices() {
		routes := service.Routes()
		sharedExpressions.share(routes)
		if documented {
			undocument(routes)
		}
	}
}

// share makes the routes use one regular expression for each path. go-restful compiles one
// for each route and offers no way in, so this goes through reflection; where a future
// version names things differently it does nothing.
func (p *pathExpressions) share(routes []restful.Route) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range routes {
		expression := reflect.ValueOf(&routes[i]).Elem().FieldByName("pathExpr")
		if expression.Kind() != reflect.Pointer || expression.IsNil() || expression.Elem().Kind() != reflect.Struct {
			continue
		}
		field := expression.Elem().FieldByName("Matcher")
		if !field.IsValid() || field.Type() != reflect.TypeFor[*regexp.Regexp]() || field.IsNil() {
			continue
		}
		matcher := reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Interface().(**regexp.Regexp)
		source := (*matcher).String()
		if p.bySource[source] == nil {
			p.bySource[source] = *matcher
		}
		*matcher = p.bySource[source]
	}
}

// undocument drops what only OpenAPI documents are made from, which are shared between the
// control planes: see openAPIDocuments. Routes hands out copies, but what they point to is the
// container's own.
func undocument(routes []restful.Route) {
	for _, r := range routes {
		for i := range r.ParameterDocs {
			r.ParameterDocs[i] = nil
		}
		clear(r.Metadata)
		clear(r.ResponseErrors)
	}
}
