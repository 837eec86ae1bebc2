// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// ownWrites keeps from an engine that it has written the status of an Application, until release.
type ownWrites struct {
	release chan struct{}
	// written counts the attempts to write a status.
	written atomic.Int32
}

func (o *ownWrites) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		applications := strings.Contains(r.URL.Path, "/applications")
		if err == nil && applications && strings.Contains(r.URL.RawQuery, "watch=true") {
			response.Body = &lateBody{ReadCloser: response.Body, release: o.release}
		}
		if applications && strings.HasSuffix(r.URL.Path, "/status") {
			o.written.Add(1)
		}
		return response, err
	})
}

type lateBody struct {
	io.ReadCloser
	release chan struct{}
}

func (b *lateBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if bytes.Contains(p[:n], []byte(`"latestRevision"`)) {
		<-b.release
	}
	return n, err
}

// A definition changes before the engine's cache has what the engine wrote last. The published version stays all the
// same, and no other one is made.
func TestPublishedVersionStaysWhenTheCacheLags(t *testing.T) {
	env := *testenv.StartOwn(t, testenv.WithScheme(oamv1.AddToScheme)) // no other test's Applications are told of
	own := &ownWrites{release: make(chan struct{})}
	env.Config = rest.CopyConfig(env.Config)
	env.Config.Wrap(own.wrap)
	s := on(t, &env)
	s.runEngine(&env, "shop", prometheus.NewRegistry())
	release := sync.OnceFunc(func() { close(own.release) })
	t.Cleanup(release)
	const template = `output: {apiVersion: "v1", kind: "ConfigMap", data: k: "first%s"}`
	s.define("note", fmt.Sprintf(template, ""))
	app := &oamv1.Application{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: s.namespace,
		Annotations: map[string]string{oamv1.AnnotationPublishVersion: "one"}}, Spec: spec(component{name: "n", typ: "note"})}
	if err := s.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	s.eventually("app", condition("Revision", metav1.ConditionTrue, "app-v1"))

	before := own.written.Load()
	s.patch(&oamv1.ComponentDefinition{}, "note", fmt.Sprintf(`{"spec":{"schematic":{"cue":{"template":%q}}}}`, fmt.Sprintf(template, "!")))
	testenv.Eventually(t, func(context.Context) error {
		if own.written.Load() == before {
			return errors.New("the engine has not looked again")
		}
		return nil
	})
	release()
	s.eventually("app", all(phase(oamv1.PhaseRunning), condition("Revision", metav1.ConditionTrue, "app-v1, pinned by the annotation")))
	if cm := there(s, &corev1.ConfigMap{}, "n"); cm.Data["k"] != "first" {
		t.Errorf("the published version became another: %v", cm.Data)
	}
	revisions := &oamv1.ApplicationRevisionList{}
	if err := s.List(t.Context(), revisions, client.InNamespace(s.namespace)); err != nil {
		t.Fatal(err)
	}
	if len(revisions.Items) != 1 {
		t.Errorf("there are %d revisions, want app-v1 alone", len(revisions.Items))
	}
}
