// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"testing"

	"github.com/emicklei/go-restful/v3"
)

// Two control planes with the same paths hold one expression for each, and still serve.
func TestControlPlanesShareTheirPathExpressions(t *testing.T) {
	shared := pathExpressions{bySource: map[string]*regexp.Regexp{}}
	serve := func() (container *restful.Container, expression uintptr) {
		service := new(restful.WebService).Path("/api/v1")
		name := service.PathParameter("name", "of the thing")
		service.Route(service.GET("/things/{name}").Param(name).To(func(req *restful.Request, res *restful.Response) {
			res.Write([]byte(req.PathParameter("name")))
		}))
		container = restful.NewContainer()
		container.Router(restful.CurlyRouter{})
		container.Add(service)
		routes := service.Routes()
		shared.share(routes)
		undocument(routes)
		if doc := service.Routes()[0].ParameterDocs[0]; doc != nil {
			t.Errorf("the parameter's documentation is still there: %v", doc.Data())
		}
		return container, reflect.ValueOf(service.Routes()[0]).FieldByName("pathExpr").Elem().FieldByName("Matcher").Pointer()
	}
	one, expression := serve()
	other, another := serve()
	if expression != another || len(shared.bySource) != 1 {
		t.Errorf("the expressions are at %x and %x, %d in all, want one", expression, another, len(shared.bySource))
	}
	for _, container := range []*restful.Container{one, other} {
		answer := httptest.NewRecorder()
		container.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/v1/things/web", nil))
		if answer.Body.String() != "web" {
			t.Errorf("the route answers %d %q", answer.Code, answer.Body)
		}
	}
}
