// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// boatDefinition makes the cluster serve boats.
func boatDefinition(group string) *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "boats." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "boats", Kind: "Boat"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
					OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: ptr.To(true)},
				},
			}},
		},
	}
}

func boat(group, name string) component {
	return component{name: name, typ: "k8s-objects", properties: fmt.Sprintf(
		`{"objects":[{"apiVersion":"%s/v1","kind":"Boat","metadata":{"name":%q},"spec":{"colour":"red"}}]}`, group, name)}
}

// serveBoats creates the CustomResourceDefinition and removes it with the test.
func (s *stage) serveBoats(group string) {
	s.Helper()
	crd := boatDefinition(group)
	if err := s.Create(s.Context(), crd); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = s.Delete(context.Background(), crd) })
}

// An Application that comes before the kind that it needs is applied as soon as that is there:
// the engine is told, it does not ask now and then.
func TestKindComesLater(t *testing.T) {
	s := newStage(t)
	group := s.namespace + ".example.com"
	s.deploy("app", spec(boat(group, "b"), configMap("a")))
	s.eventually("app", condition("Render", metav1.ConditionFalse, "which this cluster does not serve"))
	s.deploy("other", spec(configMap("c"))) // nothing is held up
	s.eventually("other", phase(oamv1.PhaseRunning))
	const kinds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	s.watched(kinds, 1)
	s.serveBoats(group)
	s.eventually("app", phase(oamv1.PhaseRunning))
	s.watched(kinds, 0) // nobody waits for a kind any more
}

// A kind is watched while some Application has objects of it, and no longer.
func TestWatchEndsWithItsLastUser(t *testing.T) {
	s := newStage(t)
	group := s.namespace + ".example.com"
	s.serveBoats(group)
	s.deploy("first", spec(boat(group, "a"), configMap("x")))
	s.deploy("second", spec(boat(group, "b")))
	s.eventually("first", phase(oamv1.PhaseRunning))
	s.eventually("second", phase(oamv1.PhaseRunning))
	s.watched("/apis/"+group+"/v1/boats", 1)

	s.deploy("first", spec(configMap("x")))
	s.eventually("first", phase(oamv1.PhaseRunning))
	s.drifts(group, "b") // still watched for the other one
	s.deploy("second", spec(configMap("y")))
	s.eventually("second", phase(oamv1.PhaseRunning))
	s.watched("/apis/"+group+"/v1/boats", 0)

	s.deploy("first", spec(boat(group, "a"), configMap("x")))
	s.eventually("first", phase(oamv1.PhaseRunning))
	s.drifts(group, "a") // and again when somebody needs it
	if err := s.Delete(t.Context(), there(s, &oamv1.Application{}, "first")); err != nil {
		t.Fatal(err)
	}
	s.gone(&oamv1.Application{}, "first")
	s.watched("/apis/"+group+"/v1/boats", 0)
}

// drifts changes a boat by hand and waits until that is taken back.
func (s *stage) drifts(group, name string) {
	s.Helper()
	o := release(name)
	o.SetAPIVersion(group + "/v1")
	o.SetKind("Boat")
	there(s, o, name)
	if err := s.Patch(s.Context(), o, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"colour":"green"}}`))); err != nil {
		s.Fatal(err)
	}
	testenv.Eventually(s, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		if colour := o.Object["spec"].(map[string]any)["colour"]; colour != "red" {
			return fmt.Errorf("the boat is %v", colour)
		}
		return nil
	})
}

// watched waits until the engine has so many open watches of a path.
func (s *stage) watched(path string, want int) {
	s.Helper()
	testenv.Eventually(s, func(context.Context) error {
		if got := s.watches.open(path); got != want {
			return fmt.Errorf("%d watches of %s, want %d", got, path, want)
		}
		return nil
	})
}

// watchCounter counts the open watches of an engine, by path.
type watchCounter struct {
	mu    sync.Mutex
	paths map[string]int
}

func (c *watchCounter) open(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paths[path]
}

func (c *watchCounter) add(path string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paths[path] += n
}

// wrap counts what goes through a transport.
func (c *watchCounter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if err == nil && response.StatusCode == http.StatusOK && strings.Contains(r.URL.RawQuery, "watch=true") {
			c.add(r.URL.Path, 1)
			response.Body = &countedBody{ReadCloser: response.Body, closed: func() { c.add(r.URL.Path, -1) }}
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type countedBody struct {
	io.ReadCloser
	once   sync.Once
	closed func()
}

func (b *countedBody) Close() error {
	b.once.Do(b.closed)
	return b.ReadCloser.Close()
}
